"""Tests that train the study's network anew: with a planted effect, other labels, other scans."""
