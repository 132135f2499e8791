"""Settings of the site: ``python -m sphinx -b html docs docs/_build``."""

from __future__ import annotations

import voxplain

project = "voxplain"
author = "The voxplain developers"
copyright = author
release = version = voxplain.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["_build"]

# Pages are Markdown that GitHub shows as well; the reference is written by docs/build.py.
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "__init__, __new__"}
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL01", "GL02", "GL05", "GL06", "GL07", "PR06", "RT02", "SS02"}
default_role = "py:obj"
highlight_language = "none"
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = "voxplain"
html_static_path = ["_static"]
html_css_files = ["voxplain.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
}
html_sidebars = {"index": []}
