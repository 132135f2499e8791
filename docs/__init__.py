"""The user guide, and what writes its generated parts."""
