"""A copy of a network that gives the same, sooner."""
