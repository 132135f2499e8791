"""The report of a study: everything that it holds, on one page."""
