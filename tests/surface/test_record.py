"""What others rely on is there, and all of it is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("griffe")

from tests.surface import commands, headers, python, record, runs

LOST = "code, scripts or bundles that others wrote break: keep the old spelling beside the new one"
NEW = "`make public` records what is new"


def require(part: record.Record) -> None:
    """Fails where a part of the record is not what it was."""
    old = {path: text for path, text in record.stored().items() if path in part}
    lost = record.losses(old, part)
    assert not lost, "\n".join([LOST, *lost])
    difference = record.difference(old, part)
    assert not difference, f"{NEW}\n{difference}"


def test_what_sources_declare_is_what_was_recorded() -> None:
    require(record.declared())


def test_keys_are_what_was_recorded(tmp_path: Path) -> None:
    for package in runs.NEEDED:
        pytest.importorskip(package, reason="a command needs it")
    require(record.printed(tmp_path))


def test_every_command_with_json_is_run() -> None:
    lines = record.stored()["json_keys.txt"].splitlines()
    missing = [
        command
        for command in commands.json_commands()
        if not any(line.startswith(f"{command} ") for line in lines)
    ]
    assert not missing, f"tests/surface/runs.py has no line for: {missing}"


def test_a_lost_name_and_a_lost_option_are_seen() -> None:
    old = record.declared()
    package = python.load_package()
    stub = "python/modelport.pyi"
    asked = old[stub].replace("def load(path: ", "def load(place: ", 1)
    assert asked != old[stub]
    said = python.breakages(package, {stub: asked})
    assert any("load(place)" in line for line in said), said
    gone = old[stub] + "\ndef unheard(x: int) -> int: ...\n"
    (said,) = python.breakages(package, {stub: gone})
    assert "unheard" in said
    (said,) = python.breakages(package, {"python/modelport.nowhere.pyi": "x: int\n"})
    assert said.endswith("nowhere.pyi:1: x: Public object was removed")
    renamed = old["commands.txt"].replace(" | --seed | ", " | --sown | ")
    lost = record.losses({"commands.txt": renamed}, {"commands.txt": old["commands.txt"]})
    assert any("gone: modelport deploy | --sown" in line for line in lost)


def test_a_new_demand_on_an_old_command_is_seen() -> None:
    old = "modelport run\nmodelport run | --input | a value\n"
    more = f"{old}modelport run | <other> | one\nmodelport new\nmodelport new | <it> | one\n"
    assert record.losses({"commands.txt": old}, {"commands.txt": more}) == [
        "commands.txt: a command that was there demands more: modelport run | <other> | one"
    ]
    optional = f"{old}modelport run | --other | a value\n"
    assert record.losses({"commands.txt": old}, {"commands.txt": optional}) == []


def test_declarations_of_a_header() -> None:
    source = """
    #ifndef A_H
    #define A_H
    #define GIVEN(x) \\
      { x }
    /* a comment; with { */
    extern "C" {
    typedef struct thing { int size; /* of it */ const char* name; } thing;
    enum kind { FIRST = 1, SECOND };
    int run(const thing* it, // the thing
            int count);
    }
    namespace outer {
    namespace detail { int hidden(); }
    class Shown : public Base {
     public:
      explicit Shown(int x) : x_(x), y_{2} { start(); }
      std::vector<int> sizes() const { return {x_}; }
      int given = 3;
     private:
      int x_;
    };
    template <class T, int N = 2> struct Held { T* data() const; };
    inline int f(int a = int{}) { if (a) { return 1; } return 2; }
    }
    #endif
    """
    assert list(headers.declarations(source)) == [
        "#define GIVEN(x)",
        "typedef struct thing",
        "thing: int size",
        "thing: const char* name",
        "enum kind",
        "kind: FIRST = 1",
        "kind: SECOND",
        "int run(const thing* it, int count)",
        "outer: class Shown : public Base",
        "outer::Shown: explicit Shown(int x)",
        "outer::Shown: std::vector<int> sizes() const",
        "outer::Shown: int given = 3",
        "outer: template <class T, int N = 2> struct Held",
        "outer::Held: T* data() const",
        "outer: inline int f(int a = int{})",
    ]
