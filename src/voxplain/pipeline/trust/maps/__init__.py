"""Tests of maps that train nothing: made again, changed, held against each other."""
