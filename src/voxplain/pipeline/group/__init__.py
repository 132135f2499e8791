"""``voxplain group``: the maps of a study, tested over its subjects."""
