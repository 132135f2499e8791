"""Methods of the gradient with respect to the input."""
