"""Figures of brains, sections with or without a map."""
