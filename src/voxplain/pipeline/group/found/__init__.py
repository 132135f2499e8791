"""What was found: clusters, regions, effects, and where methods agree."""
