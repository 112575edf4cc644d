"""A share of ONNX's node cases: no row is worse than the committed table says."""

from __future__ import annotations

import pytest

from tests.conformance.nodes.cases import BACKENDS
from tests.conformance.nodes.page import PAGE, page
from tests.conformance.nodes.table import is_worse, read_table, run_case, versions

_EVERY = 60


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, str]]:
    found = read_table()["rows"]
    assert isinstance(found, dict)
    return found


@pytest.mark.costly
def test_no_row_of_a_share_is_worse(rows: dict[str, dict[str, str]]) -> None:
    if read_table()["versions"] != versions():
        pytest.skip("the table is of other versions: make conformance PART=nodes")
    known = [name for name, row in rows.items() if "differs" in str(row)]
    worse = [
        f"{name}, {column}: {rows[name][column]} -> {found}"
        for name in dict.fromkeys((*list(rows)[::_EVERY], *known))
        for column, found in run_case(name).items()
        if is_worse(rows[name][column], found)
    ]
    assert not worse


def test_what_differs_through_deploy_is_on_the_page(rows: dict[str, dict[str, str]]) -> None:
    left = {
        name
        for name, row in rows.items()
        for backend in BACKENDS
        if row[f"{backend} deploy"].startswith(("differs", "dies"))
    }
    explained = ("align_corners", "_expanded")
    assert [name for name in left if not any(word in name for word in explained)] == []


def test_page_is_that_of_the_table() -> None:
    assert PAGE.read_text() == page(read_table())


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        ("same", "differs: y", True),
        ("refused: x", "differs: y", True),
        ("differs: y", "dies", True),
        ("same", "refused: x", True),
        ("differs: y", "refused: x", False),
        ("refused: x", "same", False),
        ("random", "same", False),
    ],
)
def test_order_of_outcomes(before: str, now: str, worse: bool) -> None:
    assert is_worse(before, now) is worse
