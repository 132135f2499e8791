"""Which scans there are, of whom, with which label."""
