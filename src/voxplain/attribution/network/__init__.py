"""What a network is to a method: opened, asked for a target, run in batches."""
