"""Files of scans, masks and atlases."""
