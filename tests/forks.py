"""Processes of the command line, each born in no time of one that has loaded all modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

LOADED = (
    "PIL.PngImagePlugin",
    "sklearn.linear_model",
    "torch._dynamo",
    "typer._adapters",
    "voxplain.cli",
    "voxplain.pipeline.explain.study",
    "voxplain.pipeline.fit.run",
    "voxplain.report.figures.style",
)


@dataclass(frozen=True)
class Forks:
    """Commands in a folder, of the process that has loaded them."""

    server: subprocess.Popen[str]
    log: Path
    folder: Path

    @classmethod
    def served(cls, log: Path) -> Forks:
        """Start that process; what its children say goes to a folder."""
        server = subprocess.Popen(
            [sys.executable, __file__, str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        return cls(server, log, Path.cwd())

    def at(self, folder: Path) -> Forks:
        """Start commands in another folder."""
        return replace(self, folder=folder)

    def _ask(self, **what: object) -> Any:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(what) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def start(self, *arguments: object, **environment: str) -> int:
        """Start a command, and return its process id."""
        words, folder = [str(one) for one in arguments], str(self.folder)
        return int(self._ask(start=words, folder=folder, environment=environment))

    def wait(self, pid: int) -> int:
        """Wait for its end; return the exit code, or the signal that killed it as a negative."""
        return int(self._ask(wait=pid))

    def told(self, pid: int) -> str:
        """Return what a process wrote, its errors last."""
        return "".join((self.log / f"{pid}.{what}").read_text() for what in ("out", "err"))

    def run(self, *arguments: object, **environment: str) -> int:
        """Run a command to its end."""
        return self.wait(self.start(*arguments, **environment))


def child(arguments: list[str], folder: str, environment: dict[str, str], log: Path) -> None:
    """Be the command line."""
    sys.modules["voxplain.report.figures.style"].DPI = 40  # type: ignore[attr-defined]
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["voxplain", *arguments]
    for descriptor, what in ((1, "out"), (2, "err")):
        written = os.open(log / f"{os.getpid()}.{what}", os.O_CREAT | os.O_WRONLY)
        os.dup2(written, descriptor)
    code = 0
    try:
        sys.modules["voxplain.cli"].main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve(log: Path) -> None:
    """Start commands, and wait for their ends, as asked on the standard input."""
    for name in LOADED:
        import_module(name)
    typer: Any = import_module("typer.main")
    typer.get_command = cache(typer.get_command)
    typer.get_command(sys.modules["voxplain.cli"].app)  # type: ignore[attr-defined]
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            answer = os.fork()
            if answer == 0:
                child(asked["start"], asked["folder"], asked["environment"], log)
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        replies.write(f"{answer}\n")
        replies.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
