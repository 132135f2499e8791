"""What all tests of the room share: one thread, and float32 on every machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost the most where networks are tiny."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def float32_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep processors that are made for bfloat16 from using it; its own tests ask for it."""
    monkeypatch.setattr("voxplain.attribution.fast.lowering.bfloat16_pays", lambda device: False)
