"""From a declared page to one HTML file that needs no network."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from voxplain.errors import InputError
from voxplain.report.html.sections import Viewer
from voxplain.report.html.viewer import outside_loads

if TYPE_CHECKING:
    from voxplain.report.html.sections import Page

__all__ = ["render"]


def render(page: Page) -> str:
    """Make the page.

    Pictures are embedded, viewers are iframes with their page inside, and the page's own content
    policy forbids the browser to load anything.

    Parameters
    ----------
    page : Page

    Returns
    -------
    str
        HTML; the caller writes it.

    Raises
    ------
    InputError
        If a part of the page, such as a viewer, would load something from the network.
    """
    environment = Environment(
        loader=PackageLoader("voxplain.report.html", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda data: b64encode(data).decode("ascii")
    for section in page.sections:
        for item in section.items:
            loads = outside_loads(item.html) if isinstance(item, Viewer) else []
            if loads:
                raise InputError(
                    f"A viewer in {section.title!r} loads {loads[0]!r} from the network; a report "
                    "must stand alone."
                )
    html = environment.get_template("page.html.j2").render(page=page)
    return re.sub(r"\n\s*\n+", "\n", html)
