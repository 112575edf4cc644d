"""The C++ side: a run over the bare C API of ONNX Runtime; requests of 8 threads, run together"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import torch

import modelport
from benchmarks.bench_engine import add_model
from benchmarks.interleave import Row
from modelport.backends.base import Artifact
from modelport.bundle import BundleWriter, Manifest
from modelport.target import Target
from tests.models.resnet import resnet50
from tests.runtime.native_build import environment, sdk

HERE = Path(__file__).parent
CLIENTS = 8


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = _build(folder)
        small = _bundle(add_model().SerializeToString(), folder / "add.port")
        times = _ask(bench, "overhead", small)
        large = _bundle(_resnet(folder), folder / "resnet.port")
        rates = _ask(bench, "submit", large, CLIENTS)
    more = times["run"] - times["bare"]
    submitted = rates.pop("submit")
    best = max(rates, key=lambda name: rates[name])
    ratio = submitted / rates[best]
    return [
        Row("C++ engine.run, one Add of [1, 4], processor time, median", f"{times['run']:.2f} us"),
        Row("the same by the bare C API", f"{times['bare']:.2f} us"),
        Row("engine.run over the bare C API", f"{more:+.2f} us", "<= 2.0 us", more <= 2),
        *(Row(f"ResNet-50, {name}", f"{rate:.1f} pictures/s") for name, rate in rates.items()),
        Row(f"ResNet-50, submit from {CLIENTS} threads", f"{submitted:.1f} pictures/s"),
        Row(f"submit over {best}", f"{ratio:.2f}x", ">= 1.00x", ratio >= 1),
    ]


def _build(folder: Path) -> Path:
    configure = ["cmake", "-S", HERE / "native", "-B", folder / "bench"]
    options = [f"-DCMAKE_PREFIX_PATH={sdk('release')}"]
    for command in ([*configure, *options], ["cmake", "--build", folder / "bench"]):
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return folder / "bench" / "bench"


def _ask(bench: Path, *words: object) -> dict[str, float]:
    command = [str(bench), *map(str, words)]
    done = subprocess.run(
        command, env={**os.environ, **environment()}, check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout))


def _bundle(graph: bytes, path: Path) -> Path:
    with BundleWriter(path) as writer:
        place = writer.folder / "graphs" / "model.onnx"
        place.parent.mkdir()
        place.write_bytes(graph)
        signature = modelport.load(place).signature
        artifacts = {Target.parse("onnxruntime"): Artifact("graphs/model.onnx")}
        writer.commit(Manifest(path.stem, signature, artifacts))
    return path


def _resnet(folder: Path) -> bytes:
    path = folder / "resnet.onnx"
    example = torch.rand(2, 3, 224, 224)
    model = modelport.export(
        resnet50(),
        (example,),
        input_names=["x"],
        dynamic={"x": {0: "batch"}},
        capture="trace",
    )
    model.save(path)
    return path.read_bytes()
