"""The report of a study: a part each, in one declared order."""
