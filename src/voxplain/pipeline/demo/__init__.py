"""The whole job on a phantom cohort whose truth is known."""
