"""Long runs in parts: what is fixed for all of them, who does which, and how far each is."""
