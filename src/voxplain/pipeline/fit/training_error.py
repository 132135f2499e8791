"""What a training failed of, in a sentence."""

from __future__ import annotations

from voxplain.attribution.network.failures import out_of_memory
from voxplain.errors import NetworkError
from voxplain.fit import Schedule

__all__ = ["training_error"]


def training_error(error: Exception, name: str, schedule: Schedule) -> NetworkError:
    """Say what a training failed of, and what to do where that is known.

    Parameters
    ----------
    error : Exception
    name : str
        Of the network.
    schedule : Schedule
    """
    size, parts = schedule.batch_size, schedule.parts
    seen = f"batches of {size} in {parts} part{'s' * (parts > 1)}"
    if out_of_memory(error):
        return NetworkError(
            f"Memory ran out while {name} was trained with {seen}; give more --parts or a "
            "smaller --batch-size, or a cohort on a coarser grid."
        )
    if "more than 1 value per channel" in str(error):
        return NetworkError(
            f"{name} has a batch norm that cannot learn from one scan at a time, as "
            f"{seen} ask; give a larger --batch-size or fewer --parts."
        )
    told = " ".join(str(error).split())
    return NetworkError(f"{name} failed in training, {type(error).__name__}: {told}")
