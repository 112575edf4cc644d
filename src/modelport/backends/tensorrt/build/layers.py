"""The layers of a built engine, and whether they compute in the types that were asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelport.errors import BuildError

_TYPES = {
    "float": "float32",
    "fp32": "float32",
    "half": "float16",
    "fp16": "float16",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "fp8": "float8_e4m3fn",
    "e8m0": "float8_e8m0fnu",
    "fp4": "float4_e2m1fn",
}
"""NumPy's (and ml_dtypes') names of TensorRT's types; the others have the same in lower case."""
_FLOATS = ("float32", "float16", "bfloat16")
_WANTED = {"fp16": "float16", "bf16": "bfloat16", "int8": "int8", "fp8": "float8_e4m3fn"}
_LINE = re.compile(r"^Name: (?P<name>.*?), LayerType: (?P<kind>\w+), Inputs: \[", re.M)
_PARTS = re.compile(r", (Inputs|Constants|Outputs): \[((?:,? ?\{ Name: .*? \})*)\]")
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.*?), Dimensions: \[(?P<shape>[-\d,]*)\].*?Datatype: (?P<type>\w+)"
)
_METADATA = re.compile(r"\[ONNX Layer: (.*?)\](?=[\x1e\x1f\[]|$)")
_TACTIC = re.compile(r", TacticName: (.*?), (?:TacticValue|StreamId): ")


@dataclass(frozen=True)
class LayerTensor:
    """A tensor that a layer takes or gives.

    Attributes:
        name: Its name; often that of a tensor of the graph, with a suffix.
        dtype: NumPy's name of its type.
        shape: Its sizes; -1 where they are dynamic.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """A layer of an engine.

    Attributes:
        name: Its name.
        kind: TensorRT's word for what it is.
        nodes: Names of the graph's nodes that went into it.
        inputs: What it takes, constants not counted.
        outputs: What it gives.
        constants: Types of its constants.
        tactic: Name of the kernel that computes it.
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    inputs: tuple[LayerTensor, ...]
    outputs: tuple[LayerTensor, ...]
    constants: tuple[str, ...] = ()
    tactic: str = ""

    @property
    def dtypes(self) -> set[str]:
        """Types of what it takes and gives."""
        return {tensor.dtype for tensor in (*self.inputs, *self.outputs)}


def read_layers(inspected: Mapping[str, Any] | None, listed: str) -> list[Layer]:
    """Reads what TensorRT says of an engine.

    Args:
        inspected: What the engine's inspector gives as JSON, where there is a GPU.
        listed: The builder's own list of the layers, in the form of one line each.
    """
    if inspected is not None:
        return [_of_json(item) for item in inspected["Layers"] if isinstance(item, dict)]
    begins = [match.start() for match in _LINE.finditer(listed)]
    ends = [*begins[1:], listed.find("\n\nI/O Tensors:") if begins else 0]
    lines = (
        listed[begin : end if end >= 0 else None] for begin, end in zip(begins, ends, strict=False)
    )
    return [_of_line(line.strip("\n")) for line in lines]


def _of_line(line: str) -> Layer:
    head = _LINE.match(line)
    assert head is not None
    parts = dict(_PARTS.findall(line))
    tactic = _TACTIC.search(line)
    return Layer(
        head["name"],
        head["kind"],
        tuple(_METADATA.findall(line.rpartition(", Metadata: ")[2])),
        tuple(_tensors(parts.get("Inputs", ""))),
        tuple(_tensors(parts.get("Outputs", ""))),
        tuple(tensor.dtype for tensor in _tensors(parts.get("Constants", ""))),
        "" if tactic is None else tactic[1],
    )


def _tensors(text: str) -> Iterable[LayerTensor]:
    for match in _TENSOR.finditer(text):
        shape = tuple(int(size) for size in match["shape"].split(",") if size)
        yield LayerTensor(match["name"], dtype_of(match["type"]), shape)


def _of_json(item: Mapping[str, Any]) -> Layer:
    def tensors(key: str) -> tuple[LayerTensor, ...]:
        return tuple(
            LayerTensor(
                tensor.get("Name", ""),
                # Up to TensorRT 10 the type is the last word of the format.
                dtype_of(
                    tensor.get("Datatype") or str(tensor.get("Format/Datatype", "")).split(" ")[-1]
                ),
                tuple(tensor.get("Dimensions", ())),
            )
            for tensor in item.get(key, ())
        )

    return Layer(
        item.get("Name", ""),
        item.get("LayerType", ""),
        tuple(_METADATA.findall(item.get("Metadata", ""))),
        tensors("Inputs"),
        tensors("Outputs"),
        tuple(tensor.dtype for tensor in tensors("Constants")),
        item.get("TacticName", ""),
    )


def dtype_of(word: str) -> str:
    """NumPy's name of a type that TensorRT names, in any of its spellings."""
    return _TYPES.get(word.lower(), word.lower())


def confirm_types(
    precision: str, network: Sequence[Mapping[str, Any]], layers: Sequence[Layer]
) -> None:
    """Makes sure that an engine computes in the types that were asked for.

    Args:
        precision: The target's precision.
        network: Name, kind and types of inputs and outputs of every layer of the strongly typed
            network.
        layers: The engine's layers.

    Raises:
        BuildError: The graph or the engine computes in another type.
    """
    asked = Counter(dtype_of(name) for layer in network for name in layer["types"])
    built = Counter(dtype for layer in layers for dtype in layer.dtypes)
    wanted = _WANTED.get(precision)
    if wanted is not None and not asked[wanted]:
        raise BuildError(
            f"{precision} was asked for, and no tensor of the graph is {wanted}",
            why=f"types of a network are those of the graph: {_counted(asked)}",
            fix="convert the graph: `modelport quantize MODEL.onnx -o NEW.onnx --int8` or --fp8, "
            "or export the model in half precision",
        )
    constants = Counter(dtype for layer in layers for dtype in layer.constants)
    if wanted is not None and layers and not (built[wanted] or constants[wanted]):
        raise BuildError(
            f"{precision} was asked for, and no layer of the engine takes or gives {wanted}",
            why=f"the layers have: {_counted(built)}",
            fix="look at them without a precision: "
            "`modelport compile MODEL.onnx -o NEW.engine --target tensorrt-rtx --layers`",
        )
    strange = [dtype for dtype in _FLOATS if built[dtype] and not asked[dtype]]
    # A graph of integers alone asks for no precision: how TensorRT makes them is its own affair.
    if strange and any(asked[dtype] for dtype in _FLOATS):
        raise BuildError(
            f"the engine computes in {', '.join(strange)}, which the graph does not",
            why=f"the graph has: {_counted(asked)}; the engine has: {_counted(built)}",
            fix="report it: a strongly typed network must not do this",
        )


def _counted(types: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(types.items())) or "none"
