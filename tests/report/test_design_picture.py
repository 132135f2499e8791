"""A design as a picture: a band per column, shaded by its values."""

from __future__ import annotations

from io import BytesIO

import matplotlib.image as mpimg
import numpy as np

from voxplain.report.figures import design_picture


def test_columns_are_shaded_by_their_values() -> None:
    matrix = np.column_stack([np.ones(20), np.repeat([-0.5, 0.5], 10), np.linspace(0, 1, 20)])
    titles = ("mean", "class: case", "age")
    picture = design_picture(matrix, titles, np.array([0, 1, 0]), "case - control")
    image = mpimg.imread(BytesIO(picture))[..., :3]
    grey = np.ptp(image, axis=2) < 0.02
    dark, light = grey & (image[..., 0] < 0.15), grey & (image[..., 0] > 0.9)
    # Half of the second column, and little of the third, is as dark as can be.
    assert dark.mean() > 0.04
    assert light.mean() > dark.mean()
    other = design_picture(matrix[::-1], titles, np.array([0, 1, 0]), "case - control")
    assert other != picture
    assert design_picture(matrix, titles, np.array([0, 1, 0]), "case - control") == picture
