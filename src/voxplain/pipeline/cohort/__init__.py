"""``voxplain cohort``: a listing of scans prepared, checked and described."""
