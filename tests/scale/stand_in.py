"""Stands in for Python in a job: a part is made by a fork, which is told all that this is told.

What is no part is started by Python itself.
"""

import json
import os
import signal
import socket
import sys

asked = sys.argv[1:]
if "--shard" not in asked:
    os.execv(sys.executable, [sys.executable, *asked])
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
    line.connect(os.environ["FORKS"])
    told = {"start": asked[2:], "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109
    socket.send_fds(line, [json.dumps(told).encode()], [1, 2])
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, lambda number, frame: line.send(bytes([number])))
    code = line.recv(1)
sys.exit(code[0] if code else 128 + signal.SIGKILL)
