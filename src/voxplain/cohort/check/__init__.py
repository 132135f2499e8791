"""What of a cohort could mislead a network."""
