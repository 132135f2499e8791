"""What runs found, as typed values: made by `pipeline`, shown by `report`, kept as JSON."""
