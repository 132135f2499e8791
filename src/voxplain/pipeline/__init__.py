"""Rooms joined into runs: the demonstration on a phantom, and the explanation of scans."""
