"""From a scan to what a network takes."""
