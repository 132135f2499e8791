"""From a declared page to one HTML file that needs no network."""

from __future__ import annotations

import re
from base64 import b64encode
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

if TYPE_CHECKING:
    from voxplain.report.html.sections import Page

__all__ = ["render"]


def render(page: Page) -> str:
    """Make the page.

    Pictures and maps are embedded, and the page's own content policy forbids the browser to load
    anything but maps of single scans from a folder beside it.

    Parameters
    ----------
    page : Page

    Returns
    -------
    str
        HTML; the caller writes it.
    """
    environment = Environment(
        loader=PackageLoader("voxplain.report.html", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["trusted"] = Markup
    environment.globals["source"] = _source
    environment.filters["base64"] = lambda data: b64encode(data).decode("ascii")
    html = environment.get_template("page.html.j2").render(page=page)
    return re.sub(r"\n\s*\n+", "\n", html)


def _source(name: str) -> Markup:
    """Read a part of the page that is no template: its style, or a script."""
    text = files("voxplain.report.html").joinpath("templates", name).read_text(encoding="utf-8")
    return Markup(text.strip())
