"""Intermediate model: an ONNX graph in memory, with its facts and findings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.errors import UsageError, first_cause, first_line
from modelport.facts import CaptureFacts
from modelport.files.onnx_model import read_onnx
from modelport.files.replacement import written
from modelport.findings import Finding
from modelport.ir.constants import total_nbytes
from modelport.signature import Dim, Signature, TensorSpec, dims_from_json, dims_to_json

if TYPE_CHECKING:
    import onnx_ir

DIMS_KEY = "modelport.dimensions"
"""Key of the declared ranges in an ONNX file's metadata."""

EXTERNAL_DATA_THRESHOLD = 1 << 30
"""Bytes of weights from which they go into a file of their own (protobuf ends at 2 GiB)."""


@dataclass
class Model:
    """An ONNX graph, and what the graph itself cannot say.

    Attributes:
        ir: The graph.
        dims: Declared ranges of dynamic dimensions, by name.
        findings: What was noticed on the way so far.
        provenance: Where the graph comes from, for people: source, capture strategy and its reason,
            versions. It is written out; what decides is in `facts`.
        facts: Facts of the capture.
    """

    ir: onnx_ir.Model
    dims: Mapping[str, Dim] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    facts: CaptureFacts = field(default_factory=CaptureFacts)

    @property
    def opset(self) -> int:
        """Version of the default operator domain; 0 where the graph does not use it."""
        return self.ir.opset_imports.get("", 0)

    @property
    def signature(self) -> Signature:
        """Names, dtypes, shapes and ranges of the graph's inputs and outputs."""
        graph = self.ir.graph
        inputs = [value for value in graph.inputs if value.name not in graph.initializers]
        return Signature(
            tuple(map(_spec_of, inputs)), tuple(map(_spec_of, graph.outputs)), dict(self.dims)
        )

    @property
    def weight_bytes(self) -> int:
        """Bytes of all initializers of the main graph."""
        values = [value.const_value for value in self.ir.graph.initializers.values()]
        return total_nbytes(values)

    def copy(self) -> Model:
        """A model that can be changed without changing this one; weights are shared."""
        return replace(
            self,
            ir=self.ir.clone(),
            dims=dict(self.dims),
            findings=list(self.findings),
            provenance=dict(self.provenance),
        )

    def operators(self) -> set[tuple[str, str]]:
        """The domain and the type of the operators in the graph, subgraphs included."""
        return {(node.domain, node.op_type) for node in self.ir.graph.all_nodes()}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the model as an ONNX file that keeps the declared ranges in its metadata.

        The model itself stays as it is. Weights of a gigabyte and more go to ``NAME.onnx.data``
        beside it.

        Args:
            path: Where to write.

        Returns:
            The path written.

        Raises:
            UsageError: The file cannot be written, or the graph holds what ONNX has no form for.
        """
        import onnx_ir

        path = Path(path)
        external = f"{path.name}.data" if self.weight_bytes >= EXTERNAL_DATA_THRESHOLD else None
        try:
            with written(path) as made, self._as_written(inside=external is None):
                onnx_ir.save(self.ir, made, format="protobuf", external_data=external)
        except (onnx_ir.serde.SerdeError, TypeError, ValueError) as error:
            raise UsageError(
                f"cannot write {path}: the graph has what ONNX cannot hold",
                why=first_line(first_cause(error)),
            ) from error
        return path

    @contextmanager
    def _as_written(self, *, inside: bool) -> Iterator[None]:
        """The graph in the form of its file, for the time of writing.

        Args:
            inside: Whether weights that lie in another file go into the file of the graph.
        """
        import onnx_ir

        values = [value for graph in self.ir.graphs() for value in graph.initializers.values()]
        tensors = [value.const_value for value in values]
        metadata = dict(self.ir.metadata_props)
        self.ir.metadata_props[DIMS_KEY] = json.dumps(dims_to_json(self.dims.values()))
        try:
            if inside:
                # Else they would be looked for beside the new file.
                onnx_ir.external_data.load_to_model(self.ir)
            yield
        finally:
            for value, tensor in zip(values, tensors, strict=True):
                value.const_value = tensor
            self.ir.metadata_props.clear()
            self.ir.metadata_props.update(metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Reads an ONNX file.

        Args:
            path: The file.

        Returns:
            The model, with the ranges that `save` kept.

        Raises:
            UsageError: The file does not exist or is not a sound ONNX model; see `read_onnx`.
        """
        path = Path(path)
        model = read_onnx(path)
        try:
            dims = dims_from_json(json.loads(model.metadata_props.get(DIMS_KEY, "{}")))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"the metadata {DIMS_KEY!r} of {path} is not readable",
                why=f"{type(error).__name__}: {error}",
                fix="export the model again",
            ) from error
        facts = CaptureFacts(source=str(path))
        return cls(model, dims, provenance=facts.to_provenance(), facts=facts)


def _spec_of(value: onnx_ir.Value) -> TensorSpec:
    shape: tuple[int | str, ...] | None = None
    if value.shape is not None:
        shape = tuple(
            dim if isinstance(dim, int) else (dim.value or f"{value.name}_{axis}")
            for axis, dim in enumerate(value.shape)
        )
    return TensorSpec(value.name or "", dtype_name(value.dtype), shape)


def dtype_name(dtype: onnx_ir.DataType | None) -> str:
    """NumPy's name of an ONNX element type."""
    import onnx_ir

    if dtype is None:
        return "unknown"
    if dtype is onnx_ir.DataType.STRING:
        return "str"
    return str(dtype.numpy().name)
