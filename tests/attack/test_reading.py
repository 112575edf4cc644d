"""Attacks 14 to 32 on what reads foreign files, in Python and in C++."""

from __future__ import annotations

import io
import os
import shutil
import struct
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import modelport
from modelport import ModelportError, UsageError
from modelport.bundle.dockerfile import write_container
from modelport.bundle.writer import require_replaceable
from modelport.cli import main
from modelport.files import images
from modelport.files.arrays import read_tensor
from modelport.files.replacement import put_in_place
from modelport.signature import TensorSpec
from tests.attack.forgery import forge, raw
from tests.runtime.driver import Driver, Refused
from tests.support import onnx_text

LOCATIONS = ("../secret", "/etc/passwd", "link", "folder/secret", "*/_ORT_MEM_ADDR_/*", "a\0b")


def refused(driver: Driver, path: Path) -> None:
    """Both languages refuse a bundle, within seconds."""
    begin = time.process_time()
    with pytest.raises(ModelportError):
        modelport.load(path)
    assert time.process_time() - begin < 10
    with pytest.raises(Refused):
        driver.load(path)


def with_external(path: Path, location: str, form: str) -> Path:
    """A graph that names a file for its weights, as an initializer or elsewhere."""
    tensor = onnx.TensorProto(
        name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL
    )
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    x = onnx.helper.make_tensor_value_info("x", 1, [4])
    y = onnx.helper.make_tensor_value_info("y", 1, [4])
    add = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    constant = onnx.helper.make_node("Constant", [], ["w"], value=tensor)
    opset = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("own", 1)]
    if form == "initializer":
        graph = onnx.helper.make_graph([add], "g", [x], [y], [tensor])
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    elif form == "constant":
        graph = onnx.helper.make_graph([constant, add], "g", [x], [y])
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    else:
        function = onnx.helper.make_function("own", "F", ["x"], ["y"], [constant, add], opset[:1])
        call = onnx.helper.make_node("F", ["x"], ["y"], domain="own")
        graph = onnx.helper.make_graph([call], "g", [x], [y])
        model = onnx.helper.make_model(
            graph, opset_imports=opset, functions=[function], ir_version=9
        )
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("form", ["initializer", "constant", "function"])
@pytest.mark.parametrize("location", LOCATIONS)
def test_14_graph_reads_no_file_outside_of_its_folder(
    tmp_path: Path, location: str, form: str
) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    path = with_external(folder / "m.onnx", location, form)
    with pytest.raises(UsageError, match=r"outside of its folder|missing"):
        modelport.load(path)
    (folder / "own.data").write_bytes(np.ones(4, np.float32).tobytes())
    engine = modelport.load(with_external(folder / "m.onnx", "own.data", "initializer"))
    np.testing.assert_array_equal(engine.run({"x": np.ones(4, np.float32)})["y"], 2)


@pytest.mark.parametrize("form", ["initializer", "constant", "function"])
def test_14_graph_of_a_bundle_reads_its_files_alone(
    driver: Driver, sound: Path, tmp_path: Path, form: str
) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    for index, location in enumerate(LOCATIONS):
        path = Path(shutil.copytree(sound, tmp_path / f"{index}.port"))
        with_external(path / "graphs" / "model.onnx", location, form)
        forge(path, path, lambda content: None)
        refused(driver, path)


def test_15_dockerfile_says_what_modelport_says(sound: Path, tmp_path: Path) -> None:
    def change(name: str, value: str) -> Callable[[dict[str, Any]], None]:
        return lambda content: content["provenance"][
            "versions" if name != "python" else "machine"
        ].update({name: value})

    evil = (
        ("python", "3.11\nRUN touch /evil"),
        ("onnxruntime", "1.0\n--index-url=http://evil"),
        ("modelport", "0 @ http://evil/x.whl"),
    )
    for index, (name, value) in enumerate(evil):
        path = forge(sound, tmp_path / f"{index}.port", change(name, value))
        with pytest.raises(UsageError, match="which is none"):
            write_container(path, tmp_path / f"{index}")
        assert not (tmp_path / f"{index}").exists()
    for name in ("a b.port", "--from=evil.port", "$HOME.port", 'a".port'):
        with pytest.raises(UsageError, match="cannot name"):
            write_container(shutil.copytree(sound, tmp_path / name), tmp_path / "image")


def png(width: int, height: int) -> bytes:
    """A PNG file that says how large it is, and has next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def test_16_pictures_are_png_and_jpeg_of_a_limited_size() -> None:
    from PIL import Image

    for size in ((100_000, 100_000), (1 << 30, 1)):
        with pytest.raises(UsageError, match=r"pixels|not a readable picture"):
            images.decode(png(*size))
    for kind in ("BMP", "TIFF", "GIF", "PPM", "EPS"):
        file = io.BytesIO()
        Image.new("RGB", (2, 2)).save(file, kind)
        with pytest.raises(UsageError, match="not a readable picture"):
            images.decode(file.getvalue())


def test_17_view_gives_one_file_to_this_host(sound: Path) -> None:
    pytest.importorskip("netron")
    from modelport.graph import view

    path = sound / "graphs" / "model.onnx"
    (path.parent / "secret.txt").write_text("secret")
    address = view(path, browse=False)
    try:
        with urllib.request.urlopen(f"{address}/data/model.onnx") as answer:
            assert answer.read() == path.read_bytes()
        for place in ("secret.txt", "./secret.txt", "%73ecret.txt", "../manifest.json"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(f"{address}/data/{place}")
        foreign = urllib.request.Request(
            f"{address}/data/model.onnx", headers={"Host": "evil.test"}
        )
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(foreign)
    finally:
        (path.parent / "secret.txt").unlink()
        __import__("netron").stop()


def test_18_21_what_is_no_bundle_is_not_replaced(sound: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "manifest.json").write_text('{"name": "a web app"}')
    bundle = Path(shutil.copytree(sound, tmp_path / "a.port"))
    (bundle / "thesis.txt").write_text("mine")
    link = tmp_path / "link.port"
    link.symlink_to(shutil.copytree(sound, tmp_path / "b.port"))
    for path in (site, bundle, link):
        with pytest.raises(UsageError):
            require_replaceable(path)
    require_replaceable(tmp_path / "b.port")


def test_19_replacing_leaves_no_moment_without_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / folder.name).touch()
    monkeypatch.setattr(Path, "rename", lambda *_: pytest.fail("the place was empty for a moment"))
    put_in_place(new, old)
    assert [item.name for item in old.iterdir()] == ["new"]
    assert not new.exists()


NESTED = (
    b"[" * 30_000 + b"]" * 30_000,
    b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    b"[" + b"[]," * 1_100_000 + b"[]]",
)


@pytest.mark.parametrize("index", range(len(NESTED)))
def test_23_24_nesting_and_numbers_of_values_are_limited(
    driver: Driver, sound: Path, tmp_path: Path, index: int
) -> None:
    nested = NESTED[index]
    refused(driver, raw(sound, tmp_path / "a.port", lambda data: data + b',\n  "note": ' + nested))


def test_24_manifests_are_read_in_linear_time(driver: Driver, sound: Path, tmp_path: Path) -> None:
    many = b",".join(b'"%d": {"a": []}' % number for number in range(40_000))
    path = raw(sound, tmp_path / "a.port", lambda data: data + b',\n  "note": {' + many + b"}")
    begin = time.process_time()
    modelport.load(path)
    assert time.process_time() - begin < 10
    begin = time.monotonic()
    driver.load(path)
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 20_000},
        {"threads": "4"},
        {"threads": True},
        {"threads": -1},
        {"spinning": 1},
        {"graph_optimization": ["all"]},
        {"libraries": "x.so"},
        {"libraries": [1]},
        {"unknown": 1},
    ],
    ids=str,
)
def test_25_options_have_types_and_ranges(
    driver: Driver, sound: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["targets"][0]["options"] = options

    refused(driver, forge(sound, tmp_path / "a.port", change))


def test_26_manifest_is_a_plain_file(driver: Driver, sound: Path, tmp_path: Path) -> None:
    for index, make in enumerate((os.mkfifo, lambda path: os.symlink("/dev/zero", path))):
        path = Path(shutil.copytree(sound, tmp_path / f"{index}.port"))
        (path / "manifest.json").unlink()
        make(path / "manifest.json")
        refused(driver, path)


def test_26_paths_have_few_parts(driver: Driver, sound: Path, tmp_path: Path) -> None:
    deep = "/".join(["stages"] * 300)

    def change(content: dict[str, Any]) -> None:
        content["files"][f"{deep}/manifest.json"] = {"sha256": "0" * 64, "bytes": 1}
        content["stages"] = [{"name": "a", "bundle": deep, "inputs": {}, "batch": 0}]

    refused(driver, forge(sound, tmp_path / "a.port", change))


def test_27_archives_of_arrays_do_not_explode(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as file,
    ):
        file.write(bytes(200 << 20))
    with pytest.raises(UsageError, match="would unpack to"):
        read_tensor(path, TensorSpec("x", "float32", ("n",)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", bytes(1000))
    with pytest.raises(UsageError, match="does not write"):
        read_tensor(path, TensorSpec("x", "float32", ("n",)))


def test_31_names_do_not_drive_the_terminal(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index, text in enumerate(("\x1b[2J", "a\x9b31m", "a\nsignature: signed by me", "\u202e")):

        def change(content: dict[str, Any], text: str = text) -> None:
            content["name"] = text

        path = forge(sound, tmp_path / f"{index}.port", change)
        assert main(["bundle", "info", str(path)]) == 2
        printed = "".join(capsys.readouterr())
        assert not set("\x1b\x9b\u202e") & set(printed)
        assert "\nsignature: signed" not in printed
    evil = tmp_path / "\x1b[31m\n.onnx"
    assert main(["graph", "inspect", str(evil)]) == 2
    assert "\x1b" not in "".join(capsys.readouterr())
    model = onnx.load(
        onnx_text(tmp_path / "m.onnx", "g (float[2] x) => (float[2] y) { y = Relu(x) }")
    )
    model.graph.node[0].name = "a\nsignature: signed by me\x1b[2J"
    model.graph.output[0].name = model.graph.node[0].output[0] = "y\nsignature: signed by me"
    onnx.save(model, tmp_path / "m.onnx")
    for command in (["inspect"], ["print"], ["lint", "--target", "onnxruntime"]):
        assert main(["graph", *command, str(tmp_path / "m.onnx")]) == 0
        printed = "".join(capsys.readouterr())
        assert "\x1b" not in printed
        # The text of a model is its source, in which a name in quotes may have several lines.
        forged = any(line.startswith("signature:") for line in printed.splitlines())
        assert not forged or command == ["print"]


@pytest.mark.parametrize(
    "text",
    [
        b"1e999",
        b"NaN",
        b"-Infinity",
        b"9223372036854775808",
        b"1" * 400,
        b'"\\ud800"',
        b'"\\u0000"',
    ],
    ids=repr,
)
def test_32_both_languages_refuse_the_same(
    driver: Driver, sound: Path, tmp_path: Path, text: bytes
) -> None:
    refused(driver, raw(sound, tmp_path / "a.port", lambda data: data + b',\n  "note": ' + text))


def test_32_both_languages_take_the_same(driver: Driver, sound: Path, tmp_path: Path) -> None:
    note = b',\n  "note": [-0, 1.5e3, 9223372036854775807, "\\u00e9\\n", {"a": {}}]'
    path = raw(sound, tmp_path / "a.port", lambda data: data + note)
    assert modelport.load(path)
    driver.load(path)


def test_32_dtypes_are_known(driver: Driver, sound: Path, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["signature"]["inputs"][0]["dtype"] = "object"

    refused(driver, forge(sound, tmp_path / "a.port", change))


def test_32_zip_with_bytes_before_it(driver: Driver, sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.port"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(sound.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(sound).as_posix())
    modelport.load(path)
    driver.load(path)
    path.write_bytes(b"#!/bin/sh\nevil\n" + path.read_bytes())
    refused(driver, path)
