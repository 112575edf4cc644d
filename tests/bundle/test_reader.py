from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from modelport import Bundle, BundleError, ModelportError, UsageError
from modelport.recipe import load_recipe
from tests.support import flipped, snapshot

WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnx_ir", "onnxscript", "jinja2"):
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
import numpy as np
import modelport

engine = modelport.load(sys.argv[1])
image = np.load(sys.argv[2])
np.save(sys.argv[3], engine.run({"image": image})["result"])
assert all(result.ok for result in modelport.verify(sys.argv[1]).values())
assert "torch" not in sys.modules
"""


def image(height: int = 21, width: int = 17) -> np.ndarray:
    return (np.random.default_rng(0).random((2, 3, height, width)) * 255).astype(np.float32)


def expected(recipe_file: Path, array: np.ndarray) -> np.ndarray:
    model = load_recipe(recipe_file).model.eval()
    with torch.no_grad():
        return model(torch.from_numpy(array)).numpy()


def rezip(source: Path, target: Path, skip: str = "", more: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source).as_posix()
            if path.is_file() and name != skip:
                archive.write(path, name)
        for name, text in (more or {}).items():
            archive.writestr(name, text)
    return target


def test_directory_computes_what_pytorch_computes(
    deployed: modelport.Deployment, recipe_file: Path
) -> None:
    engine = modelport.load(deployed.path)
    came = engine.run({"image": image()})["result"]
    wanted = expected(recipe_file, image())
    np.testing.assert_allclose(came, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_zip_computes_the_same(deployed: modelport.Deployment, zipped: Path) -> None:
    first, second = (modelport.load(path) for path in (deployed.path, zipped))
    assert first.signature == second.signature
    np.testing.assert_array_equal(
        first.run({"image": image()})["result"], second.run({"image": image()})["result"]
    )


def test_signature_keeps_names_and_ranges(deployed: modelport.Deployment) -> None:
    signature = modelport.load(deployed.path).signature
    assert signature.inputs[0].shape == ("batch", 3, "height", "width")
    assert signature.dims["height"] == modelport.Dim("height", 16, 64)
    with pytest.raises(modelport.RunError, match=r"outside the range height in 16..64"):
        modelport.load(deployed.path).run({"image": image(height=65)})


@pytest.mark.parametrize("form", ["directory", "zip"])
def test_bundle_runs_and_verifies_without_torch(
    deployed: modelport.Deployment, zipped: Path, recipe_file: Path, tmp_path: Path, form: str
) -> None:
    path = deployed.path if form == "directory" else zipped
    np.save(tmp_path / "in.npy", image())
    command = [sys.executable, "-c", WITHOUT_TORCH, path, tmp_path / "in.npy", tmp_path / "out.npy"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = expected(recipe_file, image())
    np.testing.assert_allclose(
        np.load(tmp_path / "out.npy"), wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max()
    )


def test_one_flipped_byte_in_any_file_is_refused(bundle: Path) -> None:
    files = snapshot(bundle)
    assert {"manifest.json", "graphs/model.onnx", "report.html"} <= set(files)
    assert any(name.startswith("cases/") for name in files)
    rng = np.random.default_rng(0)
    for name, data in files.items():
        for index in (0, len(data) // 2, len(data) - 1, *rng.integers(0, len(data), 3)):
            (bundle / name).write_bytes(flipped(data, int(index)))
            with pytest.raises(BundleError) as caught:
                modelport.load(bundle)
            assert name in str(caught.value)
        (bundle / name).write_bytes(data)
    modelport.load(bundle)


def test_one_flipped_byte_in_any_file_of_a_zip_is_refused(
    deployed: modelport.Deployment, tmp_path: Path
) -> None:
    for name, data in snapshot(deployed.path).items():
        changed = flipped(data, len(data) // 2).decode("latin-1")
        path = tmp_path / "a.port"
        with zipfile.ZipFile(path, "w") as archive:
            for other, content in snapshot(deployed.path).items():
                archive.writestr(other, changed.encode("latin-1") if other == name else content)
        with pytest.raises(BundleError, match=name):
            modelport.load(path)


def test_file_that_is_gone_is_refused(bundle: Path) -> None:
    for name, data in snapshot(bundle).items():
        (bundle / name).unlink()
        with pytest.raises(ModelportError, match=name) as caught:
            modelport.load(bundle)
        assert caught.value.exit_code == 2
        (bundle / name).write_bytes(data)


def test_damaged_zip_is_refused(zipped: Path, tmp_path: Path) -> None:
    data = zipped.read_bytes()
    path = tmp_path / "a.port"
    rng = np.random.default_rng(0)
    body = data.index(b"PK\x01\x02")
    for index in rng.integers(0, body, 40):
        # A byte that carries no content (a time, say) may turn; the content may not.
        path.write_bytes(flipped(data, int(index)))
        try:
            came = modelport.load(path).run({"image": image()})["result"]
        except (BundleError, UsageError):
            continue
        np.testing.assert_array_equal(
            came, modelport.load(zipped).run({"image": image()})["result"]
        )


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_truncated_zip_is_refused(zipped: Path, tmp_path: Path, keep: float) -> None:
    data = zipped.read_bytes()
    (tmp_path / "a.port").write_bytes(data[: int(len(data) * keep)])
    with pytest.raises((BundleError, UsageError)) as caught:
        modelport.load(tmp_path / "a.port")
    assert str(tmp_path / "a.port") in str(caught.value)


def test_zip_with_a_member_outside_is_refused(bundle: Path, tmp_path: Path) -> None:
    for name in ("../evil.txt", "graphs/../../evil.txt", "/evil.txt"):
        path = rezip(bundle, tmp_path / "a.zip", more={name: "evil"})
        with pytest.raises(BundleError, match="outside"):
            modelport.load(path)
    assert not list(tmp_path.rglob("evil.txt"))


def test_zip_without_a_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    for name in snapshot(bundle):
        with pytest.raises(ModelportError, match=name):
            modelport.load(rezip(bundle, tmp_path / "a.zip", skip=name))


def test_newer_format_is_refused(bundle: Path) -> None:
    content = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(BundleError, match="format 99"):
        modelport.load(bundle)


def test_manifest_that_points_outside_is_refused(bundle: Path) -> None:
    import dataclasses

    from modelport.bundle import FileRecord, Manifest

    (bundle.parent / "outside.txt").write_text("x")
    manifest = Manifest.parse((bundle / "manifest.json").read_bytes(), "")
    files = {**manifest.files, "../outside.txt": FileRecord("0" * 64, 1)}
    data = dataclasses.replace(manifest, files=files).render()
    (bundle / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError, match=r"outside.txt"):
        modelport.load(bundle)


@pytest.mark.parametrize("field", ["graph", "case"])
def test_manifest_that_uses_a_file_without_a_checksum_is_refused(bundle: Path, field: str) -> None:
    import dataclasses

    from modelport.bundle import Manifest

    manifest = Manifest.parse((bundle / "manifest.json").read_bytes(), "")
    name = "graphs/model.onnx" if field == "graph" else manifest.cases[0]
    files = {path: digest for path, digest in manifest.files.items() if path != name}
    data = dataclasses.replace(manifest, files=files).render()
    (bundle / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError, match=name):
        modelport.load(bundle)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_text("no")])
def test_what_is_no_bundle_is_a_usage_error(tmp_path: Path, make: object) -> None:
    make(tmp_path / "a.port")  # type: ignore[operator]
    with pytest.raises(UsageError, match="bundle"):
        modelport.load(tmp_path / "a.port")


def test_missing_bundle_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such bundle"):
        modelport.load(tmp_path / "none.port")
    with pytest.raises(UsageError, match="no such file"):
        modelport.load(tmp_path / "none.onnx")


def test_target_that_the_bundle_lacks_says_what_it_has(bundle: Path) -> None:
    with pytest.raises(UsageError, match="no engine for onnxruntime:cuda") as caught:
        modelport.load(bundle, "onnxruntime:cuda")
    assert "onnxruntime:cpu:fp32" in str(caught.value)


def test_options_reach_the_backend(bundle: Path) -> None:
    assert modelport.load(bundle, threads=1, graph_optimization="none").run({"image": image()})
    with pytest.raises(UsageError):
        modelport.load(bundle, nothing=1)


def test_reference_cases_are_the_originals(bundle: Path, recipe_file: Path) -> None:
    with Bundle.open(bundle) as opened:
        references = opened.reference_cases()
    assert len(references) >= 2
    for item in references:
        wanted = expected(recipe_file, item.case.inputs["image"])
        np.testing.assert_allclose(item.outputs["result"], wanted, rtol=1e-5, atol=1e-4)


def test_bundle_runs_from_another_place(bundle: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(bundle, tmp_path / "moved elsewhere"))
    assert modelport.load(moved).run({"image": image()})


def test_unpacked_zip_leaves_nothing_behind(
    zipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    modelport.load(zipped)
    assert list(tmp_path.iterdir()) == []


def test_altered_bundle_is_refused_where_it_is_read_while_the_session_opens(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelport.bundle.reader.OVERLAP_FROM", 0)
    assert modelport.load(bundle).run({"image": image()})
    for name in ("graphs/model.onnx", "cases/example.npz", "report.html"):
        data = (bundle / name).read_bytes()
        for index in (len(data) // 3, len(data) // 2, len(data) - 20):
            (bundle / name).write_bytes(flipped(data, index))
            with pytest.raises(BundleError, match=f"{name} was altered"):
                modelport.load(bundle)
        (bundle / name).write_bytes(data)
    # What a backend says of a sound bundle stays as it is.
    with pytest.raises(UsageError, match="no option nothing"):
        modelport.load(bundle, nothing=1)
