"""Where the maps of this room's tests lie: anisotropic, left and right turned over."""

from __future__ import annotations

import numpy as np

from voxplain.grid import Grid

SHAPE = (7, 8, 9)
GRID = Grid(SHAPE, np.diag([-2.0, 3.0, 4.5, 1.0]))
