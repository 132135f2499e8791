"""Methods that search for a mask."""
