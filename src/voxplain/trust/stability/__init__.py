"""Whether a map stays the same over trainings, halves of the subjects and sessions."""
