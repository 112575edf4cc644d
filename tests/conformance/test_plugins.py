"""The host that plays TensorRT's part: plugins without faults pass, planted faults are found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelport import Operator, OperatorError, UsageError
from modelport.backends.tensorrt.plugins import (
    PluginLibrary,
    build_plugins,
    find_headers,
    load_plugins,
)
from modelport.backends.tensorrt.plugins.fields import Field, plugin_fields
from modelport.backends.tensorrt.plugins.host_program import PluginCase, Told, build_host, play
from modelport.conformance import Conformance, prove_plugins
from modelport.files.trusted_code import TrustedCode
from modelport.ops.build import BuildOptions
from modelport.ops.library import load
from modelport.ops.scaffold import load_folder
from tests.conftest import RunCli

FOLDER = Path(__file__).parents[1] / "plugin_operators" / "windows"
OPTIONS = BuildOptions(cuda=True, capabilities=(86,))


@pytest.fixture
def windows(tensorrt_headers: Path) -> Iterator[Operator]:
    """The operator, whose declarations may be replaced."""
    (operator,) = load_folder(FOLDER)
    yield operator
    load_folder(FOLDER)


@pytest.fixture
def library(windows: Operator) -> Path:
    return build_plugins([windows], OPTIONS)


def require_played(found: Conformance, cases: int) -> None:
    assert found.ok, found.failures[0].detail
    counts = found.counts()
    assert counts["plugin"][:2] == (cases, 0)
    agreed, differs, untried = counts["plugin, enqueue"]
    # Without a GPU nothing can run, and that is said.
    assert differs == 0
    assert agreed + untried == cases


def test_an_operator_that_has_everything(windows: Operator) -> None:
    (found,) = prove_plugins([windows], cases=40, options=OPTIONS)
    require_played(found, 40)


def faults(operator: Operator) -> str:
    (found,) = prove_plugins([operator], cases=12, options=OPTIONS)
    assert not found.ok
    return found.failures[0].detail


def test_a_rule_that_gives_another_size(windows: Operator) -> None:
    rule = windows.shape_rule
    assert rule is not None

    def wrong(*inputs: Any, **attributes: Any) -> Any:
        sums, places = rule(*inputs, **attributes)
        return sums.like([sums.shape[0] + 1]), places

    windows.shapes(wrong)
    assert "the reference returns" in faults(windows)


def test_a_bound_that_is_too_low(windows: Operator) -> None:
    rule = windows.shape_rule
    assert rule is not None

    def wrong(*inputs: Any, **attributes: Any) -> Any:
        sums, places = rule(*inputs, **attributes)
        return sums, places.like([places.shape[0].at_most(sums.shape[0] // 4)])

    windows.shapes(wrong)
    assert "output 1" in faults(windows)


def test_another_type_than_the_kernels(windows: Operator) -> None:
    reference = windows.reference
    windows.reference = lambda *inputs, **attributes: tuple(
        item.long() for item in reference(*inputs, **attributes)
    )
    assert "int64" in faults(windows)


def case_of(operator: Operator, tmp_path: Path, **changes: Any) -> PluginCase:
    given: dict[str, Any] = {
        "number": 0,
        "domain": operator.schema.domain,
        "name": operator.schema.name,
        "fields": plugin_fields(operator, {"size": 3, "pads": [1, 0], "mode": "even"}),
        "inputs": [("float32", (10,))],
        "outputs": [("float32", (3,)), ("int32", (3,))],
        "changed": [],
        "folder": tmp_path,
    }
    return PluginCase(**{**given, **changes})


def played(library: Path, case: PluginCase, tmp_path: Path) -> Told:
    return play(build_host(find_headers(), OPTIONS), library, [case], tmp_path)


def test_what_the_host_hears(windows: Operator, library: Path, tmp_path: Path) -> None:
    told = played(library, case_of(windows, tmp_path, changed=[(20,)]), tmp_path)
    ((domain, name, version, *fields),) = told.creators
    assert (domain, name, version) == ("plugged", "windows", "1")
    assert fields == ["size", "pads", "mode", "share", "whole", "modelport_inputs"]
    heard = told.cases[0]
    assert heard.wrong is None
    # float32 sums of 11 // 3 windows, int32 places, and how many there are.
    assert heard.outputs == [(0, (3,)), (3, (3,)), (3, ())]
    assert heard.sizes == [(1, 0)]
    # TensorRT's numbers of float32, float16 and int32; what is given decides the rest.
    assert heard.types == [(0, 1, 3), (0,), (3,), (3,)]
    # Three blocks of scratch memory, each on a boundary of 256 bytes.
    assert heard.workspace == 3 * 256
    assert heard.identity == ("size=3 pads=[1, 0] mode=even share=0.10000000000000001 whole=0")
    if told.no_gpu:
        assert heard.enqueue is not None
        code, said = heard.enqueue
        assert code != 0
        assert "plugged::windows" in said


def test_scratch_memory_grows_with_the_shapes(
    windows: Operator, library: Path, tmp_path: Path
) -> None:
    case = case_of(windows, tmp_path, inputs=[("float32", (30000,))])
    count = 30001 // 3 * 4
    whole = (count + 255) // 256 * 256
    assert played(library, case, tmp_path).cases[0].workspace == 2 * whole + 256


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fields": [Field("sise", 5, 1, bytes(4))]}, "there is no attribute 'sise'"),
        ({"fields": [Field("size", 6, 1, b"3")]}, "the field 'size' is not of integers"),
        ({"fields": [Field("size", 5, 2, bytes(8))]}, "the field 'size' is not a single number"),
        ({"fields": [Field("mode", 5, 1, bytes(4))]}, "the field 'mode' is not a text"),
        ({"fields": [Field("size", 5, 1, bytes(4))]}, "windows: the size is <size>"),
        ({"inputs": [("float32", (3, 4))]}, "ValueError"),
        ({"inputs": [("int64", (3,))]}, "there is no kernel for (int64)"),
        ({"inputs": [("float32", (3,)), ("int32", (1,))]}, "no kernel for (float32, int32)"),
        ({"inputs": [("float32", (3,))] * 4}, "there are 4 inputs; the operator takes 3"),
        ({"fields": [Field("modelport_inputs", 5, 1, bytes(4))], "inputs": []}, "speaks of 1"),
        ({"name": "doors"}, "no creator of plugged::doors"),
    ],
)
def test_what_is_wrong_is_refused_and_said(
    changes: dict[str, Any], said: str, windows: Operator, library: Path, tmp_path: Path
) -> None:
    told = played(library, case_of(windows, tmp_path, **changes), tmp_path)
    assert said in str(told.cases[0].wrong)


def test_a_crash_is_the_fault_of_its_case(
    windows: Operator, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = tmp_path / "host"
    host.write_text("#!/bin/sh\necho case 0\necho bad thing >&2\nkill -SEGV $$\n")
    host.chmod(0o755)
    told = play(host, library, [case_of(windows, tmp_path)], tmp_path)
    assert "ends with -11: bad thing" in str(told.cases[0].wrong)


def test_a_file_that_is_no_library_is_named(windows: Operator, tmp_path: Path) -> None:
    path = tmp_path / "no.so"
    path.write_text("no")
    with pytest.raises(OperatorError, match=r"no\.so cannot be tested"):
        played(path, case_of(windows, tmp_path), tmp_path)


def module(version: str, handle: Any = None, loaded: list[str] | None = None) -> Any:
    """A stand-in for TensorRT, whose registry gives a handle."""

    def load_library(path: str) -> Any:
        assert loaded is not None, "TensorRT got the library"
        loaded.append(path)
        return handle

    registry = SimpleNamespace(load_library=load_library)
    return SimpleNamespace(
        __name__=f"tensorrt {version} {handle}",
        __version__=version,
        get_plugin_registry=lambda: registry,
    )


def test_the_major_version_is_checked_before_tensorrt_gets_the_library(
    library: Path, tmp_path: Path
) -> None:
    headers = find_headers()
    assert PluginLibrary(library).version == headers.version
    assert library.name == f"plugged.trt{headers.major}.so"
    loaded: list[str] = []
    for _ in range(2):
        load_plugins(library, module(str(headers), "a handle", loaded))
    assert len(loaded) == 1, "once"
    assert Path(loaded[0]).read_bytes() == library.read_bytes()
    # By its name, or by what it says itself.
    unnamed = tmp_path / "plugins.so"
    unnamed.write_bytes(library.read_bytes())
    other = f"{headers.major + 1}.0.0"
    for path in (library, unnamed):
        with pytest.raises(
            OperatorError, match=f"built for TensorRT {headers.major}, this is"
        ) as raised:
            load_plugins(TrustedCode.of_user(path), module(other))
        assert "ops build --tensorrt" in str(raised.value.fix)
    with pytest.raises(OperatorError, match="does not take the plugins"):
        load_plugins(TrustedCode.of_user(library), module(str(headers), None, loaded))


def test_of_a_library_of_others_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "libtheirs.so"
    path.write_text("theirs")
    loaded: list[str] = []
    load_plugins(TrustedCode.of_user(path), module("10.1.0", "their handle", loaded))
    assert [Path(item).read_text() for item in loaded] == ["theirs"]


def test_a_library_of_kernels_has_no_plugins(trial: dict[str, Operator]) -> None:
    from modelport.ops.library_store import library_path

    with pytest.raises(OperatorError, match="has no TensorRT plugins"):
        PluginLibrary(library_path("trial"))


def test_types_that_plugins_do_not_have(tensorrt_headers: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flags"
    folder.mkdir()
    (folder / "kernel.cu").write_text("")
    (folder / "op.py").write_text(
        "import modelport\nfrom torch import Tensor\n"
        '@modelport.operator("plugged::flags", kernels=["kernel.cu"], dtypes=["bool", "uint8"])\n'
        "def flags(x: Tensor) -> Tensor:\n    return x\n"
        "@flags.shapes\ndef _(x):\n    return x\n"
    )
    with pytest.raises(OperatorError, match="cannot be a TensorRT plugin") as raised:
        build_plugins(load_folder(folder), OPTIONS)
    assert "cast to int8 or int32" in str(raised.value.fix)


def test_what_cannot_be_proven(trial: dict[str, Operator]) -> None:
    with pytest.raises(UsageError, match="no operator has a CUDA kernel"):
        prove_plugins([trial["twice"]])


def test_what_is_known_of_a_library(library: Path) -> None:
    opened = PluginLibrary(library)
    assert (opened.domain, opened.plugins) == ("plugged", {"windows"})


def test_commands(windows: Operator, cli: RunCli, tmp_path: Path) -> None:
    built = cli("ops", "build", FOLDER, "--tensorrt", "--arch", 86, "-o", tmp_path, "--json")
    assert built.code == 0, built.err
    (item,) = json.loads(built.out)
    assert Path(item["library"]).parent == tmp_path
    assert len(item["kernels"]) == 3
    tested = cli("ops", "test", FOLDER, "--tensorrt", "--arch", 86, "--cases", 3, "--json")
    assert tested.code == 0, tested.err
    (found,) = json.loads(tested.out)
    assert [check["ok"] for check in found["checks"] if check["way"] == "plugin"] == [True] * 3
    unknown = cli("ops", "build", FOLDER, "--tensorrt", "--arch", 1)
    assert unknown.code == 2
    assert "does not compile for the compute capability 1" in unknown.err


@pytest.mark.slow
def test_under_sanitizers(windows: Operator) -> None:
    options = BuildOptions(cuda=True, sanitize=True, capabilities=(86,))
    (found,) = prove_plugins([windows], cases=20, options=options)
    require_played(found, 20)


@pytest.mark.slow
def test_all_operators_that_ship_for_all_gpus(tensorrt_headers: Path) -> None:
    operators = [item for item in load().values() if "cuda" in item.kernels]
    found = prove_plugins(operators, cases=30)
    assert {item.operator for item in found} == {item.qualified_name for item in operators}
    for item in found:
        if item.operator == "modelport::image_to_tensor":
            # Its pictures are bytes, which plugins do not have: TensorRT gets its body.
            assert item.counts() == {"plugin": (0, 0, 1)}
        else:
            require_played(item, 30)
