"""Methods of a layer's activation and its gradient."""
