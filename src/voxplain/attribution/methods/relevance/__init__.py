"""Methods that hand relevance back, layer by layer."""
