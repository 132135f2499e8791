"""What a folder of results holds, for those who only read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxplain.files.atomic import plain, read_json
from voxplain.study.requests import same_request

__all__ = ["StudyReader"]


class StudyReader:
    """A folder of results that is read and never written to.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def find_file(self, name: str) -> Path | None:
        """Return the path of a file, None where there is none."""
        path = self.folder / name
        return path if path.is_file() else None

    def list_names(self, pattern: str) -> list[str]:
        """List the files that fit a pattern such as ``runs/*/manifest.json``, in order."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.glob(pattern))

    def read_bytes(self, name: str) -> bytes | None:
        """Return a file's content, None where it cannot be read."""
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def read_text(self, name: str) -> str | None:
        """Return the content of a text file in UTF-8, None where it cannot be read."""
        content = self.read_bytes(name)
        return None if content is None else content.decode("utf-8")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file's content, empty where there is none that is whole."""
        return read_json(self.folder / name) or {}

    def find_json(self, name: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a JSON file's content if its ``request`` asks for the same, else None."""
        content = self.read_json(name)
        return content if same_request(content.get("request"), plain(request)) else None

    def changed_json(self, name: str, request: Mapping[str, Any]) -> list[str]:
        """Name the entries in which a JSON file's ``request`` differs; none where it is missing."""
        kept, wanted = self.read_json(name).get("request", {}), plain(request)
        return [key for key in {**kept, **wanted} if kept and kept.get(key) != wanted.get(key)]
