"""Of what, by what and when a page was made."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from voxplain import __version__
from voxplain.report.html.render import render
from voxplain.report.html.sections import Made, Page
from voxplain.report.words.places import command_line
from voxplain.study import Study

__all__ = ["write_page"]

_FROM_PYTHON: Final = "from Python"
_COMMANDS: Final = ("voxplain", "__main__.py")


def write_page(study: Study, name: str, page: Page) -> Path:
    """Write a page that says of which study it is, which command made it, and when.

    Parameters
    ----------
    study : Study
    name : str
        Of the file in the study.
    page : Page

    Returns
    -------
    path
    """
    ran = Path(sys.argv[0]).name in _COMMANDS if sys.argv and sys.argv[0] else False
    command = (
        command_line(sys.argv[1:], str(study.folder.resolve().parent)) if ran else _FROM_PYTHON
    )
    date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z").strip()
    made = Made(study.folder.resolve().name, command, date, __version__)
    return study.write_text(name, render(replace(page, made=made)))
