"""What is tested: maps of participants, and the table that a model reads."""
