"""Side-by-side runs against peers; prints ratios. Never part of the tests."""
