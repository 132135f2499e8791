"""Numbers and scores as they are written."""
