import pytest

from modelport import UsageError
from modelport.ops.catalog import Match, find


def by_name(text: str) -> dict[str, Match]:
    return {match.name: match for match in find(text)}


def test_bicubic_is_resize_from_11_and_grid_sample_from_16() -> None:
    found = by_name("bicubic")
    assert {name: match.since for name, match in found.items()} == {"Resize": 11, "GridSample": 16}
    reasons = [reason for reason in found["Resize"].reasons if not reason.literal]
    assert ("value of attribute mode: cubic", 11) in [(r.text, r.since) for r in reasons]
    assert found["GridSample"].reasons[0].text == "value of attribute mode: bicubic"


def test_cubic_came_to_grid_sample_with_20() -> None:
    reasons = by_name("cubic")["GridSample"].reasons
    assert ("value of attribute mode: bicubic", 16) in [(r.text, r.since) for r in reasons]


def test_a_name_comes_first() -> None:
    assert find("asinh")[0].name == "Asinh"
    assert find("asinh")[0].since == 9
    assert find("softmax")[0].name == "Softmax"
    assert "LogSoftmax" in [match.name for match in find("softmax")[:3]]


def test_attribute_that_came_later() -> None:
    match = by_name("antialias")["Resize"]
    assert match.since == 18
    assert match.reasons[0].text == "attribute: antialias"


def test_several_words_must_be_in_one_place() -> None:
    assert "Resize" in by_name("cubic interpolation")
    assert not find("bicubic sigmoid")


def test_results_are_sorted_by_weight() -> None:
    weights = [match.weight for match in find("linear")]
    assert weights == sorted(weights)
    assert len({match.name for match in find("linear")}) == len(weights)


def test_nothing_to_search_for() -> None:
    with pytest.raises(UsageError, match="nothing to search"):
        find("  ")
    assert find("nosuchthing") == []
