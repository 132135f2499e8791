"""Processes of the command line, each born in no time of one that has loaded all modules."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

LOADED = (
    "PIL.PngImagePlugin",
    "sklearn.linear_model",
    "torch._dynamo",
    "typer._adapters",
    "voxplain.cli",
    "voxplain.pipeline.explain.study.run",
    "voxplain.pipeline.fit.run",
    "voxplain.report.figures.style",
)
LINE = "line"
"""Socket on which other processes ask, in the folder of what commands say."""


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


def be(
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    streams: tuple[int, int],
    end: Callable[[int], None],
) -> NoReturn:
    """Be the command line, and end with its exit code."""
    sys.modules["voxplain.report.figures.style"].DPI = 40  # type: ignore[attr-defined]
    sys.modules["voxplain.report.figures.brain.planes"]._PIXEL_MM = 3.0  # type: ignore[attr-defined]
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["voxplain", *arguments]
    for descriptor, stream in zip((1, 2), streams, strict=True):
        os.dup2(stream, descriptor)
    code = 0
    try:
        sys.modules["voxplain.cli"].main()
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        end(code)


def forked(asked: dict[str, Any], log: Path) -> int:
    """Start a command whose output is kept in files."""
    if pid := os.fork():
        return pid
    files = (log / f"{os.getpid()}.{what}" for what in ("out", "err"))
    out, err = (os.open(file, os.O_CREAT | os.O_WRONLY) for file in files)
    be(asked["start"], asked["folder"], asked["environment"], (out, err), os._exit)


def forked_for(line: socket.socket) -> int:
    """Start a command in the place of another process, ``stand_in.py``, and do as that is told."""
    text, streams, _, _ = socket.recv_fds(line, 1 << 20, 2)
    if pid := os.fork():
        line.close()
        for stream in streams:
            os.close(stream)
        return pid

    def obey() -> None:
        while told := line.recv(1):
            os.kill(os.getpid(), told[0])
        os.kill(os.getpid(), signal.SIGKILL)

    def end(code: int) -> None:
        line.send(bytes([code]))
        os._exit(code)

    threading.Thread(target=obey, daemon=True).start()
    asked = json.loads(text)
    be(asked["start"], asked["folder"], asked["environment"], tuple(streams), end)


def serve(log: Path) -> None:
    """Start commands, and wait for their ends, as asked on the standard input or a socket."""
    for name in LOADED:
        import_module(name)
    typer: Any = import_module("typer.main")
    typer.get_command = cache(typer.get_command)
    typer.get_command(sys.modules["voxplain.cli"].app)  # type: ignore[attr-defined]
    replies, questions = os.fdopen(os.dup(1), "w"), os.fdopen(0, "rb", buffering=0)
    lines = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lines.bind(str(log / LINE))
    lines.listen()
    standing_in: list[int] = []
    while True:
        ready, _, _ = select.select([questions, lines], [], [])
        if lines in ready:
            standing_in.append(forked_for(lines.accept()[0]))
        if questions in ready:
            text = questions.readline()
            if not text:
                break
            asked = json.loads(text)
            if "start" in asked:
                answer = forked(asked, log)
            else:
                answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
            replies.write(f"{answer}\n")
            replies.flush()
    for pid in standing_in:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
