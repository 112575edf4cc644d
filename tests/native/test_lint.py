"""What `make lint` says of C++ that is not as it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.native import warnings
from tests.native.__main__ import ROOT, sources
from tests.native.warnings import Group, Unit

GOOD = "int twice(int value) { return 2 * value; }\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD, None),
        ("int twice(int value, int unused) { return 2 * value; }\n", "unused parameter"),
        ("bool less(int a, unsigned b) { return a < b; }\n", "different signedness"),
    ],
)
def test_a_warning_is_an_error(text: str, said: str | None, tmp_path: Path) -> None:
    source = tmp_path / "file.cpp"
    source.write_text(text)
    found = warnings.warned([Unit(source, Group([source], []).command())])
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_headers_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "here.h").write_text("")
    group = Group([], [], ("vector", "here.h", "nowhere.h"), [tmp_path])
    assert group.missing() == ["nowhere.h"]


def test_every_file_is_read() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in sources()}
    assert "src/modelport/native/include/modelport/kernel.h" in names
    assert "src/modelport/ops/library/nms/kernel.cu" in names
    assert "examples/own_operator/my_add/kernel.cpp" in names
    assert not any(name.startswith("tests/data/bundles") for name in names)
