"""The page: its sections, its template, its viewer."""
