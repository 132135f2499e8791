"""Networks and baselines trained on a cohort, and judged."""
