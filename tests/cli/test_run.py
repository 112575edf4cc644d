from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport.files import images
from tests.support import Ran, onnx_text

RunCli = Callable[..., Ran]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.npy"
    np.save(path, np.random.default_rng(0).random((1, 3, 20, 24), np.float32))
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_output_is_what_the_engine_gives(
    cli: RunCli, deployed: modelport.Deployment, image: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    ran = cli("run", deployed.path, "--input", f"image=@{image}", "--output", f"result=@{out}")
    assert ran.code == 0
    assert f"result: float32[1, 3, 20, 24] -> {out}" in ran.out
    wanted = modelport.load(deployed.path).run({"image": np.load(image)})["result"]
    loaded = np.load(out)
    np.testing.assert_array_equal(loaded if suffix == ".npy" else loaded["result"], wanted)


def test_zip_and_onnx_file_run_too(
    cli: RunCli, zipped: Path, onnx_file: Path, image: Path, tmp_path: Path
) -> None:
    outputs = []
    for index, path in enumerate((zipped, onnx_file)):
        out = tmp_path / f"{index}.npy"
        ran = cli("run", path, "--input", f"image=@{image}", "--output", f"result=@{out}")
        assert ran.code == 0
        outputs.append(np.load(out))
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_picture_in_picture_out(
    cli: RunCli, deployed: modelport.Deployment, tmp_path: Path, suffix: str
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    images.write(tmp_path / f"in{suffix}", picture)
    ran = cli(
        "run", deployed.path, "--input", f"image=@{tmp_path / f'in{suffix}'}",
        "--output", f"result=@{tmp_path / 'out.png'}",
    )  # fmt: skip
    assert ran.code == 0
    given = images.to_nchw(images.read(tmp_path / f"in{suffix}"), "float32")
    wanted = modelport.load(deployed.path).run({"image": given})["result"]
    came = images.read(tmp_path / "out.png")
    np.testing.assert_array_equal(came, images.from_nchw(wanted))


def test_json_has_target_and_shapes(
    cli: RunCli, deployed: modelport.Deployment, image: Path
) -> None:
    ran = cli("run", deployed.path, "--input", f"image=@{image}", "--json")
    assert json.loads(ran.out) == {
        "target": "onnxruntime:cpu:fp32",
        "outputs": {"result": [1, 3, 20, 24]},
    }


def test_bad_inputs_exit_with_2_and_write_nothing(
    cli: RunCli, deployed: modelport.Deployment, image: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "f8.npy", np.zeros((1, 3, 20, 20)))
    np.save(tmp_path / "small.npy", np.zeros((1, 3, 15, 20), np.float32))
    (tmp_path / "text.npy").write_text("no array")
    out = tmp_path / "out.npy"
    good = ("--input", f"image=@{image}")
    bad: dict[str, tuple[str, ...]] = {
        "missing: image": (),
        "no input 'picture'": ("--input", f"picture=@{image}"),
        "write NAME=@FILE": ("--input", f"image={image}"),
        "no such file": ("--input", f"image=@{tmp_path / 'none.npy'}"),
        "cannot read": ("--input", f"image=@{tmp_path / 'text.npy'}"),
        "expected float32": ("--input", f"image=@{tmp_path / 'f8.npy'}"),
        "outside the range height in 16..64": ("--input", f"image=@{tmp_path / 'small.npy'}"),
        "no output 'nothing'": (*good, "--output", f"nothing=@{out}"),
        "no engine for": (*good, "--target", "onnxruntime:cuda"),
    }
    for said, options in bad.items():
        ran = cli("run", deployed.path, *options, "--output", f"result=@{out}")
        assert ran.code == 2, said
        assert said in ran.err
        assert ran.out == ""
        assert not out.exists()


def test_output_file_that_cannot_be_written_exits_with_2(
    cli: RunCli, deployed: modelport.Deployment, image: Path, tmp_path: Path
) -> None:
    for name in ("out.txt", "nowhere/out.npy"):
        ran = cli(
            "run", deployed.path, "--input", f"image=@{image}",
            "--output", f"result=@{tmp_path / name}",
        )  # fmt: skip
        assert ran.code == 2
        assert "cannot write" in ran.err


def test_altered_bundle_exits_with_2(cli: RunCli, bundle: Path, image: Path) -> None:
    with (bundle / "report.html").open("a") as file:
        file.write(" ")
    ran = cli("run", bundle, "--input", f"image=@{image}")
    assert ran.code == 2
    assert "report.html was altered" in ran.err


def test_missing_bundle_exits_with_2(cli: RunCli, tmp_path: Path) -> None:
    ran = cli("run", tmp_path / "none.port")
    assert ran.code == 2
    assert "no such bundle" in ran.err


def test_invalid_onnx_file_exits_with_1(cli: RunCli, tmp_path: Path) -> None:
    body = "g (float[2] x) => (float[2] y) { y = mine.Special(x) }"
    ran = cli("run", onnx_text(tmp_path / "m.onnx", body))
    assert ran.code == 1
    assert "cannot load" in ran.err
