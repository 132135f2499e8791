"""The verdict on a study: what is tested, in order."""
