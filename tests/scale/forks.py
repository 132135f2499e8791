"""A process that has loaded voxplain, and gives birth to its commands: ``forks.py LOG``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch._dynamo  # noqa: F401

import voxplain.cli
import voxplain.pipeline.explain.study
import voxplain.pipeline.fit.run
import voxplain.report.figures.style


def child(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    voxplain.report.figures.style.DPI = 40
    os.environ.update(environment)
    sys.argv = ["voxplain", *arguments]
    out = os.open(log / f"{os.getpid()}.txt", os.O_CREAT | os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    code = 0
    try:
        voxplain.cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve(log: Path) -> None:
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            answer = os.fork()
            if answer == 0:
                child(asked["start"], asked["environment"], log)
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        replies.write(f"{answer}\n")
        replies.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
