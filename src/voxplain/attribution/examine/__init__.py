"""What is found out about a network before its first map: what it calls, and how it may be run."""
