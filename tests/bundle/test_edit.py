from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport import Bundle, BundleError, ProofError, Target, UsageError
from modelport.backends import get_backend
from modelport.bundle import Manifest
from modelport.bundle.edit import add_operators, strip
from modelport.deployment import add_targets
from modelport.ops.elf_check import platform_name
from tests.support import snapshot

X = {"x": np.arange(10, dtype=np.float32).reshape(2, 5)}
WANTED = (X["x"] * X["x"] * np.float32(0.5) + X["x"]) * 2
LIBRARY = f"operators/{platform_name()}/tinted.so"


def manifest_of(bundle: Path) -> Manifest:
    return Manifest.parse((bundle / "manifest.json").read_bytes(), str(bundle))


def test_deploying_twice_gives_equal_bytes(tmp_path: Path, recipe_file: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        targets = ["onnxruntime", "openvino", "onnxruntime:fp16"]
        modelport.deploy(recipe_file, tmp_path / name / "a.port", targets=targets, zipped=True)
    one, two = (tmp_path / name / "a.port" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_sources_of_operators_lie_beside_their_libraries(native: Path) -> None:
    files = set(snapshot(native))
    sources = "operators/sources/tinted"
    assert {LIBRARY, f"{sources}/kernels/blend/kernel.cpp", f"{sources}/exports.map"} <= files
    assert f"{sources}/include/modelport/kernel.h" in files
    (entry,) = json.loads((native / "manifest.json").read_text())["targets"]
    assert entry["files"] == ["operators/{platform}/tinted.so"]


def test_bundle_of_another_platform_is_built_here(code: Path, elsewhere: Path) -> None:
    assert strip(code, platforms=[platform_name()]) == [LIBRARY]
    with pytest.raises(BundleError, match=f"no library of operators for {platform_name()}") as why:
        modelport.load(code, trust=True)
    assert f"modelport bundle add {code} --operators" in str(why.value)
    with pytest.raises(BundleError, match="code that is not known here"):
        add_operators(code)
    assert add_operators(code, trust=True) == [LIBRARY]
    # It was built here: it needs no trust any more.
    np.testing.assert_allclose(modelport.load(code).run(X)["y"], WANTED, rtol=1e-6)
    assert modelport.self_test(code).ok


def test_libraries_of_several_platforms_live_together(
    code: Path, reseal: Callable[..., None]
) -> None:
    other = code / "operators" / "plan9-mips" / "tinted.so"
    other.parent.mkdir()
    other.write_bytes(b"for another machine")
    reseal(code)
    np.testing.assert_allclose(modelport.load(code).run(X)["y"], WANTED, rtol=1e-6)
    strip(code, platforms=["plan9-mips"])
    assert not other.parent.exists()
    assert modelport.load(code)


def test_target_is_added_and_compared(bundle: Path) -> None:
    done = add_targets(bundle, ["openvino", "onnxruntime:fp16"])
    assert set(done.values()) == {"built"}
    assert [str(target) for target in manifest_of(bundle).artifacts] == [
        "onnxruntime:cpu:fp32",
        "openvino:cpu:fp32",
        "onnxruntime:cpu:fp16",
    ]
    result = modelport.self_test(bundle)
    assert result.ok
    assert all(engine.verification for engine in result.engines)
    before = snapshot(bundle)
    assert add_targets(bundle, ["openvino"]) == {Target("openvino"): "there already"}
    assert snapshot(bundle) == before


def test_engine_of_another_version_is_built_anew(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target("onnxruntime")
    assert add_targets(bundle, [target]) == {target: "there already"}
    key = manifest_of(bundle).keys[target]
    monkeypatch.setattr(get_backend(target), "version", lambda: "9.9.9")
    assert add_targets(bundle, [target]) == {target: "built"}
    assert manifest_of(bundle).keys[target] != key
    assert manifest_of(bundle).provenance["versions"]["onnxruntime"] == "9.9.9"


def test_target_that_computes_something_else_is_not_added(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelport.backends.openvino.engine import OpenVinoEngine

    run = OpenVinoEngine.run

    def wrong(self: OpenVinoEngine, *args: object) -> dict[str, np.ndarray]:
        return {name: array * 1.1 for name, array in run(self, *args).items()}  # type: ignore[arg-type]

    monkeypatch.setattr(OpenVinoEngine, "run", wrong)
    before = snapshot(bundle.parent)
    with pytest.raises(ProofError, match="the engine for openvino"):
        add_targets(bundle, ["openvino"])
    assert snapshot(bundle.parent) == before


def test_target_is_taken_out_with_its_files_alone(bundle: Path, tmp_path: Path) -> None:
    before = snapshot(bundle)
    add_targets(bundle, ["onnxruntime:fp16"])
    gone = strip(bundle, tmp_path / "less.port", targets=["onnxruntime:fp16"])
    assert len(gone) == 1
    assert gone[0].startswith("graphs/onnxruntime")
    assert set(snapshot(tmp_path / "less.port")) == set(before)
    with pytest.raises(UsageError, match="would have no engine"):
        strip(tmp_path / "less.port", targets=["onnxruntime"])
    with pytest.raises(UsageError, match="no engine for tensorrt"):
        strip(tmp_path / "less.port", targets=["tensorrt:cuda"])


@pytest.mark.parametrize("form", ["directory", "zip"])
def test_parts_are_taken_out(bundle: Path, zipped: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / "less.port"
    gone = strip(bundle if form == "directory" else zipped, path, parts=["cases", "report"])
    assert path.is_dir() is (form == "directory")
    assert "report.html" in gone
    assert any(name.startswith("cases/") for name in gone)
    assert modelport.load(path)
    with Bundle.open(path) as opened:
        assert not opened.manifest.cases
        assert not set(gone) & set(opened.manifest.files)
    # Nothing to compare with is not agreement.
    for test in (modelport.self_test, modelport.verify):
        with pytest.raises(UsageError, match="no reference cases"):
            test(path)


def test_altered_bundle_is_not_changed(bundle: Path) -> None:
    (bundle / "report.html").write_text("other")
    before = snapshot(bundle.parent)
    for change in (
        lambda: strip(bundle, parts=["cases"]),
        lambda: add_targets(bundle, ["openvino"]),
    ):
        with pytest.raises(BundleError, match="altered"):
            change()
    assert snapshot(bundle.parent) == before


def test_bundle_without_operators_has_no_sources(bundle: Path) -> None:
    with pytest.raises(UsageError, match="no sources of operators"):
        add_operators(bundle)


def test_bundle_with_an_engine_of_tensorrt_for_rtx_is_the_same_every_time(
    tmp_path: Path, recipe_file: Path
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    made = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.port"
        modelport.deploy(recipe_file, path, targets=["tensorrt-rtx:cuda"])
        made.append(snapshot(path))
    assert any(name.startswith("engines/") for name in made[0])
    assert made[0] == made[1]
