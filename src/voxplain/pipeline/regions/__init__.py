"""Tables of named regions, for single scans, studies and tests over subjects."""
