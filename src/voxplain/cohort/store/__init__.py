"""Prepared scans in one file."""
