"""Somebody's weights on a study's scans, without any training."""
