"""Image files in and out: what a `Volume` or a map is on disk, and in nibabel's hands."""
