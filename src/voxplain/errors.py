"""What a user can be told: each error is one sentence that names what was given and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

__all__ = [
    "GridError",
    "InputError",
    "NetworkError",
    "StoppedError",
    "StudyError",
    "VoxplainError",
    "VoxplainWarning",
    "remarks",
    "unknown_name",
]


class VoxplainError(Exception):
    """Base of every error that voxplain raises on purpose.

    The command line prints its message as one sentence and exits with code 2.
    """


class InputError(VoxplainError, ValueError):
    """A file, a table or an option cannot be used as given."""


class GridError(InputError):
    """Two volumes that must share a grid do not."""


class NetworkError(InputError):
    """Weights, layers or outputs of a network do not fit what was asked."""


class StudyError(VoxplainError, OSError):
    """A result cannot be written to, or read from, the study folder."""


class StoppedError(VoxplainError):
    """The work was asked to end before it was done, and ended between two batches."""


class VoxplainWarning(UserWarning):
    """The result is valid but means less than it seems to."""


@contextmanager
def remarks() -> Iterator[list[str]]:
    """Collect what is warned of as sentences, to be told where the user reads them.

    Yields
    ------
    list of str
        Filled at the end with the messages of each VoxplainWarning; other warnings are passed on.
    """
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VoxplainWarning)
        yield said
    for warning in caught:
        if issubclass(warning.category, VoxplainWarning):
            said.append(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def unknown_name(kind: str, given: object, allowed: Iterable[str]) -> InputError:
    """Make the error for a name that is not in a registry.

    Parameters
    ----------
    kind : str
        What the name stands for: ``"method"``, ``"layer"``, ``"target"``.
    given : object
        The name as the user wrote it.
    allowed : iterable of str
        Every name that would have been accepted.

    Returns
    -------
    InputError
        To be raised by the caller.
    """
    names = sorted(allowed)
    close = get_close_matches(str(given), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return InputError(f"Unknown {kind} {str(given)!r}; there are: {', '.join(names)}.{hint}")
