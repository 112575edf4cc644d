from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from modelport.garbage_collection import collection_paused


@pytest.fixture(autouse=True)
def _enabled_again() -> Iterator[None]:
    yield
    gc.enable()


def test_nothing_is_collected_within() -> None:
    begun: list[str] = []
    gc.callbacks.append(lambda phase, _: begun.append(phase))
    try:
        with collection_paused():
            begun.clear()
            kept: list[list[int]] = [[] for _ in range(10 * gc.get_threshold()[0])]
            within = list(begun)
    finally:
        gc.callbacks.pop()
    assert kept
    assert within == []
    assert gc.isenabled()


def test_an_error_ends_the_pause() -> None:
    with pytest.raises(ValueError, match="within"), collection_paused():
        raise ValueError("within")
    assert gc.isenabled()


def test_who_switched_it_off_keeps_it_off() -> None:
    gc.disable()
    with collection_paused(), collection_paused():
        pass
    assert not gc.isenabled()
