"""Maps of single scans, and of a study."""
