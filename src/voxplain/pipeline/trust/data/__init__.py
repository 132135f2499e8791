"""Tests of scans, predictions and files: nothing is asked of a network."""
