"""Tables as people write them: what a cell holds, and which numbers a column means."""
