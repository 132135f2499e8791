"""Whether a study's maps can be believed."""
