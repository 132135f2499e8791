"""Scans given as files, through weights given as files."""
