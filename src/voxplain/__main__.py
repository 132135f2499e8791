"""``python -m voxplain``: the command line, also where its script is not on the path."""

from voxplain.cli import main

main()
