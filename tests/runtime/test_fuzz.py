"""Whatever a bundle holds: a clear error or the right answer, never a crash, nothing outside.

`make fuzz` tries many mutations: MODELPORT_FUZZ is how many.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport.errors import ModelportError
from tests.runtime.driver import Driver, Refused
from tests.support import snapshot

CASES = int(os.environ.get("MODELPORT_FUZZ", "300"))
Files = dict[str, bytes]
NAMES = ("../evil", "/evil", "a/../../evil", "graphs/evil.so", "manifest.sig", "evil\n", "", "x" * 400)


def flip(files: Files, draw: random.Random) -> None:
    name = draw.choice(sorted(files))
    data = bytearray(files[name])
    for _ in range(draw.choice((1, 1, 8))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    files[name] = bytes(data)


def cut(files: Files, draw: random.Random) -> None:
    name = draw.choice(sorted(files))
    files[name] = files[name][: draw.randrange(len(files[name]))]


def drop(files: Files, draw: random.Random) -> None:
    del files[draw.choice(sorted(files))]


def add(files: Files, draw: random.Random) -> None:
    files[draw.choice(NAMES[3:6])] = draw.randbytes(20)


def set_field(files: Files, draw: random.Random) -> None:
    """Puts something else into the manifest, whose checksum is made anew."""
    content = json.loads(files["manifest.json"])
    del content["sha256"]
    place = content
    while True:
        key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
        deeper = isinstance(place[key], dict | list) and place[key]
        if not deeper or draw.random() < 0.3:
            break
        place = place[key]
    values = (None, True, -1, 0, 2**70, 1.5, "", "x", *NAMES[:3], [], {}, [[]], {"a": 1})
    place[key] = draw.choice(values)
    files["manifest.json"] = sealed(content)


def set_graph(files: Files, draw: random.Random) -> None:
    """Alters the graph, and the checksums with it."""
    data = bytearray(files["graphs/model.onnx"])
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    files["graphs/model.onnx"] = bytes(data)
    content = json.loads(files["manifest.json"])
    del content["sha256"]
    record = content["files"]["graphs/model.onnx"]
    record["sha256"] = hashlib.sha256(data).hexdigest()
    files["manifest.json"] = sealed(content)


def sealed(content: dict[str, object]) -> bytes:
    body = json.dumps(content, indent=2).removesuffix("\n}").encode()
    return body + f',\n  "sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()


MUTATIONS: tuple[Callable[[Files, random.Random], None], ...] = (
    flip,
    cut,
    drop,
    add,
    set_field,
    set_field,
    set_field,
)


def write(files: Files, path: Path, draw: random.Random) -> None:
    """As a directory, or as a zip file, which is itself mutated at times."""
    if draw.random() < 0.5:
        for name, data in files.items():
            place = path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return
    with zipfile.ZipFile(path, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
        if draw.random() < 0.3:
            zipped.writestr(draw.choice(NAMES) or "/", b"evil")
    if draw.random() < 0.6:
        whole = {"zip": path.read_bytes()}
        draw.choice((flip, cut))(whole, draw)
        path.write_bytes(whole["zip"])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_mutated_bundles_are_refused_or_right(
    driver: Driver, deployed: modelport.Deployment, tmp_path: Path
) -> None:
    original = snapshot(deployed.path)
    inputs = {"image": np.full((1, 3, 16, 2), 100, np.float32)}
    engine = modelport.load(deployed.path, threads=1)
    right = engine.run(inputs)["result"].tobytes()
    folder = tmp_path / "mutated"
    draw = random.Random(CASES)
    seen = {"refused": 0, "right": 0}
    for _ in range(CASES):
        folder.mkdir()
        files = dict(original)
        draw.choice(MUTATIONS)(files, draw)
        write(files, folder / "a.port", draw)
        try:
            driver.load(folder / "a.port", threads=1)
            came = driver.run(inputs)
        except Refused as error:
            assert error.kind in ("UsageError", "BundleError", "BuildError", "RunError"), error
            assert str(error).strip()
            seen["refused"] += 1
        else:
            assert came["result"].tobytes() == right
            seen["right"] += 1
        shutil.rmtree(folder)
    assert not list(tmp_path.rglob("*evil*"))
    assert not Path("/evil").exists()
    assert min(seen.values()) > CASES // 30


def test_what_python_opens_opens(
    driver: Driver, deployed: modelport.Deployment, tmp_path: Path
) -> None:
    """And what Python refuses is refused, but for fields that nothing in C++ depends on."""
    original = snapshot(deployed.path)
    draw = random.Random(0)
    both = {"opens": 0, "refused": 0}
    for index in range(60):
        files = dict(original)
        set_field(files, draw)
        path = tmp_path / f"{index}.port"
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        answers = opens(modelport.load, path), opens(driver.load, path)
        content = json.loads(files["manifest.json"])
        same = (content[name] == json.loads(original["manifest.json"])[name] for name in USED)
        if answers[0] == answers[1]:
            both["opens" if answers[0] else "refused"] += 1
        else:
            assert answers == (False, True), content
            assert all(same), content
    assert min(both.values()) > 3


USED = ("format", "signature", "files", "stages")


def opens(load: Callable[[Path], object], path: Path) -> bool:
    try:
        load(path)
    except (ModelportError, Refused):
        return False
    return True


@pytest.mark.slow
def test_altered_graphs_never_end_the_program(
    driver: Driver, deployed: modelport.Deployment, tmp_path: Path
) -> None:
    original = snapshot(deployed.path)
    draw = random.Random(1)
    inputs = {"image": np.full((1, 3, 16, 2), 100, np.float32)}
    for index in range(300):
        files = dict(original)
        set_graph(files, draw)
        path = tmp_path / f"{index}.port"
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        try:
            driver.load(path)
            driver.run(inputs)
        except Refused as error:
            assert error.kind in ("BuildError", "RunError"), error
        shutil.rmtree(path)
