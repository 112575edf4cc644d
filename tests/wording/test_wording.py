"""The rules find what they are for, and nothing breaks them more often than recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wording import record, rules, texts
from tests.wording.__main__ import breaches


def found(path: Path) -> set[str]:
    return {breach.rule for text in texts.read(path) for breach in rules.of_text("src/x.py", text)}


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ('"""What a pass decides."""', "docstring question"),
        ('"""By which a pass decides."""', "docstring definition by use"),
        ("# A node that was told to stay.", "word: told"),
        ("raise ValueError('it gives no shape')", "word: gives"),
        ("x = f'the node {1} stands before it'", "word: stands"),
        ("# One line a step.", "word: for per"),
        ("# An op of a domain is no standard op.", "word: is no"),
        ("# Inputs that are as given.", "word: given"),
        ("def compare(given): ...", "riddle"),
        ("place = 3", "riddle"),
        ("def read(data: dict[str, Any]): ...", "Any"),
    ],
)
def test_a_rule_finds_what_it_is_for(source: str, rule: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(source + "\n")
    assert rule in found(path)


@pytest.mark.parametrize(
    "source",
    [
        '"""Divergence per node."""',
        '"""Symbolic sizes.\n\nWhat follows is the second paragraph.\n"""',
        "# There is no kernel of it, see `given`.",
        "index = {'place': 'came'}",
        "# A size of one with a name.",
    ],
)
def test_a_plain_sentence_breaks_no_rule(source: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(source + "\n")
    assert found(path) == set()


def test_comments_and_strings_of_c_are_read(tmp_path: Path) -> None:
    path = tmp_path / "kernel.cpp"
    path.write_text('int x; // taken as it is\nauto y = "it gives none"; /* it came\nfrom */\n')
    assert found(path) == {"word: taken", "word: gives", "word: came"}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("src/a/parsing.py", "gerund file"),
        ("tests/test_parsing.py", "gerund file"),
        ("src/a/sorted.py", "participle file"),
        ("src/a/compare.py", "file of a public name"),
    ],
)
def test_names_of_files(name: str, rule: str) -> None:
    assert [breach.rule for breach in rules.of_name(name, frozenset({"compare"}))] == [rule]


def test_nouns_are_names_of_files() -> None:
    for name in ("speed", "padding", "comparison", "test_seed", "tuning"):
        assert not list(rules.of_name(f"src/{name}.py", frozenset()))


def test_a_count_that_rises_is_reported() -> None:
    breach = rules.Breach("word: told", "src/modelport/cli/run.py", 3, "told")
    other = rules.Breach("word: told", "tests/graph/test_edit.py", 3, "told")
    recorded = record.counted([breach, breach])
    assert record.risen(recorded, record.counted([breach])) == []
    [line] = record.risen(recorded, record.counted([breach, other]))
    assert line == "tests: word: told: 1, recorded are 0"


@pytest.mark.costly
def test_counts_do_not_rise_and_every_exception_is_needed() -> None:
    everything = breaches(all_of_them=True)
    exempt = record.exceptions()
    for item in exempt:
        assert item.reason
        assert any(item.covers(breach) for breach in everything), item
    left = [breach for breach in everything if not any(item.covers(breach) for item in exempt)]
    assert record.risen(record.stored(), record.counted(left)) == []
