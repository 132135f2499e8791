"""One network, trained on scans held in memory."""
