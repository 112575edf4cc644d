"""The kinds of bundles that this version of modelport writes, each with what PyTorch computes."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F

import modelport
from modelport import model as model_file
from modelport.bundle import join_stages
from modelport.bundle.digital_signature import make_keys
from modelport.bundle.edit import sign, strip
from modelport.graph.builder import build
from modelport.ops.scaffold import load_folder
from modelport.pipeline import Result, Stage, assemble, steps
from tests.data import nets
from tests.data.stored import KEY, Arrays

Runs = list[tuple[Arrays, Arrays]]
RANDOM = np.random.default_rng(0)
LABELS = ("sand", "water", "grass", "rock")


@dataclass(frozen=True)
class Model:
    """What is deployed.

    Attributes:
        recipe: The model.
        inputs: Inputs of the runs that are stored; those of the example come first.
        options: Of `modelport.deploy`.
    """

    recipe: modelport.Recipe
    inputs: Sequence[Arrays]
    options: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> Runs:
        """Deploys it, and runs the original on the inputs."""
        modelport.deploy(self.recipe, path, **self.options)
        return [(inputs, run_eagerly(self.recipe, inputs)) for inputs in self.inputs]


def run_eagerly(recipe: modelport.Recipe, inputs: Arrays) -> Arrays:
    """What PyTorch computes for inputs, by the names of the recipe's outputs."""
    whole = assemble(recipe)
    with torch.no_grad():
        given = whole.model(*(torch.from_numpy(array) for array in inputs.values()))
    outputs = given if isinstance(given, tuple) else (given,)
    names = whole.output_names or ()
    return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}


def pictures(*sizes: tuple[int, ...]) -> list[Arrays]:
    return [{"image": RANDOM.random(size).astype(np.float32)} for size in sizes]


def rows(width: int, *counts: int) -> list[Arrays]:
    return [{"x": RANDOM.normal(size=(count, width)).astype(np.float32)} for count in counts]


def recipe_of(module: torch.nn.Module, example: Arrays, **given: Any) -> modelport.Recipe:
    args = tuple(torch.from_numpy(array) for array in example.values())
    given = {"output_names": ["y"], "capture": "trace", **given}
    return modelport.Recipe(module, args, input_names=list(example), **given)


def convolutions(**options: Any) -> Model:
    inputs = pictures((1, 3, 16, 12), (2, 3, 8, 5), (3, 3, 24, 7))
    dynamic = {"image": {0: "batch", 2: modelport.Dim("height", 8, 24, multiple=8), 3: "width"}}
    recipe = recipe_of(nets.Pictures(), inputs[0], dynamic=dynamic, name="pictures")
    return Model(recipe, inputs, options)


def layers(*targets: str, width: int = 6, classes: int = 4, **options: Any) -> Model:
    inputs = rows(width, 2, 1, 7)
    net = nets.Rows(width, classes)
    recipe = recipe_of(net, inputs[0], dynamic={"x": {0: "n"}}, name="rows", capture="dynamo")
    return Model(recipe, inputs, {"targets": targets or ("onnxruntime",), **options})


def quantized() -> Model:
    kept = convolutions()
    cases = [{"image": RANDOM.random((1, 3, 16, 12)).astype(np.float32)} for _ in range(20)]
    targets = ("onnxruntime:int8", "openvino:int8")
    return Model(kept.recipe, kept.inputs, {"targets": targets, "data": cases})


def own_operator() -> Model:
    load_folder(Path(__file__).parent / "tilt")
    inputs = rows(6, 3, 1, 5)
    recipe = recipe_of(nets.Tilted(), inputs[0], dynamic={"x": {0: "n"}}, name="tilted")
    return Model(recipe, inputs)


def picture_steps() -> Model:
    inputs = [
        {"image": RANDOM.integers(0, 256, (*size, 3), dtype=np.uint8)}
        for size in ((20, 30), (33, 17), (40, 40))
    ]
    recipe = modelport.Recipe(
        nets.Scores(),
        (inputs[0]["image"],),
        output_names=["scores"],
        # None of them is an operator of modelport's own, whose library is large.
        preprocess=[
            steps.center_crop(16),
            steps.to_float(),
            steps.normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.3)),
            steps.to_chw(),
        ],
        postprocess=[steps.softmax(), steps.top_k(2)],
        result=Result("classes", labels=LABELS),
        name="land",
    )
    return Model(recipe, inputs)


def dtypes() -> Model:
    def draw(count: int) -> Arrays:
        return {
            "level": RANDOM.integers(0, 256, count, dtype=np.uint8),
            "half": RANDOM.normal(size=(count, 2)).astype(np.float16),
            "scale": np.array(RANDOM.normal()),
        }

    inputs = [draw(count) for count in (3, 1, 0)]
    dim = modelport.Dim("n", min=0)
    dynamic = {name: {0: dim} for name in ("level", "half")}
    names = ["count", "flag", "scaled"]
    return Model(recipe_of(nets.Dtypes(), inputs[0], dynamic=dynamic, output_names=names), inputs)


def write_dtypes(path: Path) -> Runs:
    """Several inputs and outputs of several dtypes, also with no rows at all."""
    runs = dtypes().write(path)
    strip(path, parts=["report"])
    return runs


def write_texts(path: Path) -> Runs:
    """Texts, and a tensor of no known rank, which PyTorch has not: they come out as they go in."""
    graph = build()
    graph.output(graph.op("Identity", graph.input("text", "str", ["n"])), "same")
    file = graph.model().save(path.with_suffix(".onnx"))
    modelport.deploy(str(file), path)
    file.unlink()
    texts = [["a", "", "déjà vu"], ["one text that is somewhat longer than the others"]]
    return [({"text": np.array(item)}, {"same": np.array(item)}) for item in texts]


def write_external(path: Path) -> Runs:
    """Weights in a file of their own, as those of a gigabyte and more are."""
    with mock.patch.object(model_file, "EXTERNAL_DATA_THRESHOLD", 0):
        return layers().write(path)


def compress(path: Path) -> None:
    """Writes a zip file anew with its entries compressed, as other tools than ours may do."""
    stored = path.rename(path.with_suffix(".zip"))
    with zipfile.ZipFile(stored) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry), zipfile.ZIP_DEFLATED, 9)
    stored.unlink()


def write_trimmed(path: Path) -> Runs:
    """An engine of TensorRT for RTX whose answer has more rows than the model's."""
    inputs = rows(3, 4, 1, 9)
    dynamic = {"x": {0: modelport.Dim("n", 1, 16)}}
    recipe = recipe_of(nets.Positive(), inputs[0], dynamic=dynamic, capture="auto")
    options = {"targets": ["onnxruntime", "tensorrt-rtx:sm86"], "zipped": True}
    runs = Model(recipe, inputs, options).write(path)
    compress(path)
    return runs


def write_scaled(path: Path) -> Runs:
    """An engine of TensorRT for RTX that takes an input of floats as integers."""
    graph = build()
    x, scales = (
        graph.input("x", "float32", ["n", 2, "h", "w"]),
        graph.input("scales", "float32", [4]),
    )
    floor = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    graph.output(graph.op("Resize", x, None, scales, mode="nearest", **floor), "y")
    file = graph.model().save(path.with_suffix(".onnx"))

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return np.array([1, 1, rng.uniform(1, 3), rng.uniform(1, 3)], np.float32)

    recipe = modelport.Recipe(file, values={"scales": draw})
    modelport.deploy(recipe, path, targets=["onnxruntime", "tensorrt-rtx:sm86"], zipped=True)
    compress(path)
    file.unlink()
    runs: Runs = []
    for size, by in (((1, 2, 4, 6), (2.0, 1.5)), ((2, 2, 3, 3), (1.0, 3.0))):
        values = RANDOM.normal(size=size).astype(np.float32)
        larger = F.interpolate(torch.from_numpy(values), scale_factor=by, mode="nearest")
        inputs = {"x": values, "scales": np.array([1, 1, *by], np.float32)}
        runs.append((inputs, {"y": larger.numpy()}))
    return runs


def write_pipeline(path: Path) -> Runs:
    """Two models as one: rows to features, and those, two rows at a time, to classes."""
    first = layers(classes=5)
    features = [run_eagerly(first.recipe, inputs) for inputs in first.inputs]
    given = [{"x": item["y"]} for item in features]
    recipe = recipe_of(
        nets.Best(), given[0], dynamic={"x": {0: "n"}}, output_names=["scores", "labels"]
    )
    second = Model(recipe, given)
    with tempfile.TemporaryDirectory() as name:
        stages = [
            Stage("features", f"{name}/first.port", {"x": "rows"}),
            Stage("classes", f"{name}/second.port", {"x": "features.y"}, batch=2),
        ]
        first.write(Path(stages[0].bundle))
        runs = second.write(Path(stages[1].bundle))
        outputs = {"scores": "classes.scores", "labels": "classes.labels"}
        join_stages(stages, path, outputs=outputs, result=Result("classes", labels=LABELS[:3]))
    return [
        ({"rows": inputs["x"]}, outputs)
        for inputs, (_, outputs) in zip(first.inputs, runs, strict=True)
    ]


def write_nested(path: Path) -> Runs:
    """A pipeline that is a stage of another one."""
    last = layers(width=2, classes=4)
    with tempfile.TemporaryDirectory() as name:
        stages = [
            Stage("inner", f"{name}/inner.port", {"rows": "values"}),
            Stage("last", f"{name}/last.port", {"x": "inner.scores"}),
        ]
        runs = write_pipeline(Path(stages[0].bundle))
        last.write(Path(stages[1].bundle))
        join_stages(stages, path, outputs={"labels": "inner.labels", "y": "last.y"}, zipped=True)
    compress(path)
    return [
        (
            {"values": inputs["rows"]},
            {"labels": outputs["labels"]} | run_eagerly(last.recipe, {"x": outputs["scores"]}),
        )
        for inputs, outputs in runs
    ]


def write_signed(path: Path) -> Runs:
    """A bundle with code, signed by a key that nobody keeps."""
    runs = layers("torch", "onnxruntime").write(path)
    with tempfile.TemporaryDirectory() as name:
        private = Path(name) / "maker.pem"
        public = make_keys(private)
        sign(path, private)
        shutil.copyfile(public, path.parent / KEY)
    return runs


def write_stripped(path: Path) -> Runs:
    """A bundle with neither cases nor a page."""
    runs = layers().write(path)
    strip(path, parts=["cases", "report"])
    return runs


KINDS: dict[str, Callable[[Path], Runs]] = {
    "directory": convolutions().write,
    "dtypes": write_dtypes,
    "external": write_external,
    "int8": lambda path: quantized().write(path),
    "nested": write_nested,
    "openvino": layers("openvino", "openvino:fp16").write,
    "operator": lambda path: own_operator().write(path),
    "pipeline": write_pipeline,
    "precisions": layers("onnxruntime", "onnxruntime:fp16", "onnxruntime:bf16").write,
    "scaled": write_scaled,
    "signed": write_signed,
    "steps": lambda path: picture_steps().write(path),
    "stripped": write_stripped,
    "texts": write_texts,
    "trimmed": write_trimmed,
    "torch": layers("torch").write,
    "zip": convolutions(zipped=True).write,
}
