"""Building: what goes wrong is said at the author's line, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelport import Operator, OperatorError
from modelport.ops.build import build_library, toolchain
from modelport.ops.build.cache import cache_folder
from modelport.ops.scaffold import load_folder
from tests.conftest import RunCli

DECLARATION = """
import modelport
from torch import Tensor


@modelport.operator("{domain}::{domain}", kernels=["kernel.cpp"])
def {domain}(x: Tensor, *, factor: float) -> Tensor:
    return x * factor
"""

GOOD = """#include <modelport/kernel.h>

void {domain}(Context&, In<float> x, Out<float> output, double factor) {{
  float* to = output.alloc(x.shape());
  for (int64_t i = 0; i < x.size(); ++i) to[i] = x[i] * static_cast<float>(factor);
}}
"""


def declare(folder: Path, domain: str, kernel: str = GOOD) -> list[Operator]:
    folder = folder / domain
    folder.mkdir()
    (folder / "op.py").write_text(DECLARATION.format(domain=domain))
    (folder / "kernel.cpp").write_text(kernel.format(domain=domain))
    return load_folder(folder)


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def libraries() -> set[Path]:
    return files(cache_folder() / "operators")


@pytest.fixture(scope="module")
def compiled_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of object files, those that every library is linked from among them."""
    build_library(declare(tmp_path_factory.mktemp("compiled"), "compiled"))
    return cache_folder() / "objects"


@pytest.fixture
def own_cache(
    compiled_runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A cache that no other test writes to."""
    objects = tmp_path / "cache" / "objects"
    objects.mkdir(parents=True)
    for item in compiled_runtime.iterdir():
        (objects / item.name).symlink_to(item)
    monkeypatch.setenv("MODELPORT_CACHE", str(tmp_path / "cache"))
    yield
    monkeypatch.undo()


def test_what_was_built_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operators = declare(tmp_path, "kept")
    path = build_library(operators)
    assert path.name == "kept.so"
    assert path.is_relative_to(cache_folder())

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a compiler is run")

    monkeypatch.setattr("modelport.ops.build.toolchain.run", refuse)
    assert build_library(load_folder(tmp_path / "kept")) == path
    monkeypatch.undo()
    # Content makes the key: another comment, another library.
    kernel = tmp_path / "kept" / "kernel.cpp"
    kernel.write_text(kernel.read_text() + "// changed\n")
    changed = build_library(operators)
    assert changed != path
    assert path.is_file()


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("kernel", "line", "said"),
    [
        (GOOD.replace("to[i] = x[i]", "to[i] = y[i]"), 5, "'y' was not declared"),
        (GOOD.replace("In<float> x,", "std::vector<float> x,"), 3, "vector"),
        (GOOD.replace("double factor", "int factor"), 3, "kernel's parameters are"),
        (GOOD.replace("{domain}(Context", "another(Context"), None, "was not declared"),
        (GOOD.replace("x.size();", "x.size()"), 5, "expected"),
        (GOOD.replace("void {domain}", "int {domain}"), 3, ""),
        (GOOD.replace("<modelport/kernel.h>", "<modelport/krenel.h>"), 1, "krenel.h"),
    ],
    ids=["name", "type", "parameter", "function", "syntax", "result", "include"],
)
def test_compile_error_at_the_authors_line(
    kernel: str, line: int | None, said: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    domain = f"broken_{request.node.callspec.id}"
    operators = declare(tmp_path, domain, kernel)
    before = libraries()
    with pytest.raises(OperatorError, match="does not compile") as caught:
        build_library(operators)
    place = str(tmp_path / domain / "kernel.cpp")
    assert caught.value.where == (place if line is None else f"{place}:{line}")
    assert said in str(caught.value.why)
    assert caught.value.exit_code == 2
    assert libraries() == before
    assert not list(cache_folder().rglob("*.partial"))


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("kernel", "row"),
    [
        (
            GOOD.replace("double factor", "int64_t factor"),
            "float factor   int   <-- differs",
        ),
        (GOOD.replace("In<float> x", "Opt<float> x"), "In x           Opt<float32>   <-- differs"),
        (
            GOOD.replace(", double factor", "").replace("factor", "2"),
            "float factor   -   <-- differs",
        ),
        (
            GOOD.replace("double factor", "double factor, bool deep"),
            "-              bool   <-- differs",
        ),
    ],
    ids=["kind", "optional", "fewer", "more"],
)
def test_signature_unlike_the_declaration(
    kernel: str, row: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    domain = f"unlike_{request.node.callspec.id}"
    operators = declare(tmp_path, domain, kernel)
    before = libraries()
    with pytest.raises(OperatorError, match="another signature than its declaration") as caught:
        build_library(operators)
    assert row in str(caught.value.why)
    assert "declaration    kernel" in str(caught.value.why)
    assert caught.value.where == str(tmp_path / domain / "kernel.cpp")
    assert libraries() == before


def test_operators_of_two_domains(tmp_path: Path) -> None:
    operators = declare(tmp_path, "first_of_two") + declare(tmp_path, "second_of_two")
    with pytest.raises(OperatorError, match="first_of_two, second_of_two"):
        build_library(operators)
    with pytest.raises(OperatorError, match="none"):
        build_library([])


@pytest.fixture
def no_compiler_known() -> Iterator[None]:
    toolchain.cxx.cache_clear()
    yield
    toolchain.cxx.cache_clear()


@pytest.mark.usefixtures("no_compiler_known")
def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: RunCli) -> None:
    declare(tmp_path, "uncompiled")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    ran = cli("ops", "build", tmp_path / "uncompiled")
    assert ran.code == 2
    assert "there is no C++ compiler" in ran.err
    assert "apt install g++" in ran.err
    monkeypatch.undo()
    monkeypatch.setenv("CXX", "no-such-compiler")
    ran = cli("ops", "build", tmp_path / "uncompiled")
    assert ran.code == 2
    assert "$CXX is no-such-compiler, which was not found" in ran.err
    assert not (tmp_path / "uncompiled" / "build").exists()


def test_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: RunCli
) -> None:
    declare(tmp_path, "uncached")
    (tmp_path / "file").touch()
    monkeypatch.setenv("MODELPORT_CACHE", str(tmp_path / "file" / "cache"))
    ran = cli("ops", "build", tmp_path / "uncached")
    assert ran.code == 2
    assert "the cache cannot be written" in ran.err
    assert "MODELPORT_CACHE" in ran.err


@pytest.mark.usefixtures("trial")
def test_older_processors_get_kernels_of_their_own() -> None:
    from modelport.ops.library_store import library_path

    script = (
        "from pathlib import Path; from modelport.ops.ctypes_library import NativeLibrary;"
        f"library = NativeLibrary(Path({str(library_path('trial'))!r}));"
        "print({item.level for item in library.kernels})"
    )

    def levels(most: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "MODELPORT_CPU_LEVEL": most}
        command = [sys.executable, "-c", script]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    if levels("9").stdout.strip() == "{0}":
        pytest.skip("not x86-64")
    assert levels("3").stdout.strip() == "{3}"
    refused = levels("1")
    assert "OperatorError" in refused.stderr
    assert "AVX2" in refused.stderr
