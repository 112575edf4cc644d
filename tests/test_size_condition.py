"""Conditions on sizes: text, meaning and limits."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.size_condition import DEEPEST, LONGEST, SizeCondition

NAMES = ("a", "b", "images.height")


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> object:
    if depth == 0 or draw(st.booleans()):
        return draw(st.one_of(st.integers(-50, 5000), st.sampled_from(NAMES)))
    operator = draw(st.sampled_from(["+", "-", "*", "//", "%"]))
    return (operator, draw(expressions(depth - 1)), draw(expressions(depth - 1)))


CONDITIONS = st.builds(
    SizeCondition, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), expressions(), expressions()
)


@given(CONDITIONS, st.tuples(*[st.integers(0, 5000)] * 3))
def test_text_is_python_and_comes_back(condition: SizeCondition, sizes: tuple[int, ...]) -> None:
    text = str(condition)
    again = SizeCondition.parse(text)
    values = dict(zip(NAMES, sizes, strict=True))
    assert again.holds(values) == condition.holds(values)
    python = text.replace("images.height", "height")
    try:
        expected = eval(python, {}, {"a": sizes[0], "b": sizes[1], "height": sizes[2]})
    except ZeroDivisionError:
        expected = None
    assert condition.holds(values) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a <",
        "< 3",
        "a < 3 < 5",
        "a = 3",
        "a < 3)",
        "(a < 3",
        "a < (3",
        "a ** 2 < 9",
        "a.__class__ < __import__('os')",
        "a < 1e3",
        "a < 0x10",
        "a < '3'",
        "a < --3",
        "a < -b",
        "a and b < 3",
        "\u00e4 < 3",
        "\u0663 < a",
        "a\t< 3",
        "a <\n3",
        f"a < {2**63}",
        f"a < {'9' * 400}",
        "a < " + "(" * (DEEPEST + 2) + "1" + ")" * (DEEPEST + 2),
        "a < 1" + " + 1" * (DEEPEST + 2),
        "a < " + "1" * LONGEST,
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        SizeCondition.parse(text)


@pytest.mark.parametrize(
    ("text", "sizes", "holds"),
    [
        ("a <= 500", {"a": 500}, True),
        ("a <= 500", {"a": 501}, False),
        ("a % 64 != 0", {"a": 128}, False),
        ("a // 16 <= 20", {"a": 335}, True),
        ("a // 16 <= 20", {"a": 336}, False),
        ("a * b <= 4096", {"a": 64, "b": 65}, False),
        ("a * b <= 4096", {"a": 64}, None),
        ("a % b == 0", {"a": 64, "b": 0}, None),
        ("a * a * a * a > 0", {"a": 2**16}, None),
        ("(a - 10) % 3 == 1", {"a": 5}, True),
        ("(a - 10) // 3 == -2", {"a": 5}, True),
    ],
)
def test_meaning(text: str, sizes: dict[str, int], holds: bool | None) -> None:
    assert SizeCondition.parse(text).holds(sizes) is holds


def test_names_and_numbers() -> None:
    condition = SizeCondition.parse("a * (b + 3) <= 4096 + a")
    assert condition.names == {"a", "b"}
    assert condition.numbers == {3, 4096}
    assert all(
        condition.holds({"a": a, "b": b}) == (a * (b + 3) <= 4096 + a)
        for a, b in itertools.product(range(40), range(0, 400, 7))
    )
