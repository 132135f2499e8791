"""Whether masked scans can still be told apart."""
