#!/bin/sh
# Install voxplain, from the folder above this one, into a bare Debian 12 or later.
# Containerfile and voxplain.def run it; so may whoever has a machine of their own.
set -eu
source=$(dirname "$(dirname "$(readlink -f "$0")")")
apt-get update
apt-get install -y --no-install-recommends ca-certificates python3 python3-venv
rm -rf /var/lib/apt/lists/*
python3 -m venv /opt/voxplain
/opt/voxplain/bin/pip install --no-cache-dir -c "$source/constraints.txt" "$source[cluster]"
for name in voxplain voxplain-bids; do
    ln -sf "/opt/voxplain/bin/$name" "/usr/local/bin/$name"
done
/opt/voxplain/bin/voxplain --version
