"""The state of a training as bytes and back."""

from __future__ import annotations

import torch

from voxplain.nets import pack, unpack


def test_what_is_packed_comes_back() -> None:
    content = {"state": {"w": torch.arange(6.0).reshape(2, 3)}, "seconds": 1.5, "best": None}
    found = unpack(pack(content), "cpu")
    assert found is not None
    assert torch.equal(found["state"]["w"], content["state"]["w"])  # type: ignore[index]
    assert (found["seconds"], found["best"]) == (1.5, None)


def test_damaged_bytes_are_nothing() -> None:
    packed = pack({"w": torch.ones(1000)})
    assert unpack(packed[: len(packed) // 2], "cpu") is None
    assert unpack(b"", "cpu") is None
    assert unpack(b"not a file of torch's", "cpu") is None


class Touch:
    """Would print when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code from a file ran",))


def test_no_code_runs_from_packed_bytes(capsys) -> None:
    assert unpack(pack({"w": Touch()}), "cpu") is None
    assert capsys.readouterr().out == ""
