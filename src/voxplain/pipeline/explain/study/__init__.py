"""Every scan of a study, through the networks that were fitted on it."""
