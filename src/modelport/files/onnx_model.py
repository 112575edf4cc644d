"""Reading ONNX files: what is not a sound graph is refused here, with what is wrong and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.errors import UsageError, first_cause
from modelport.files.external_data import require_external_data
from modelport.files.legacy_onnx import expand_sparse_initializers, use_current_forms
from modelport.ir.topology import cycle, is_sorted

if TYPE_CHECKING:
    import onnx_ir

_REWRITE = "the file is truncated or of another format: write or copy it again"


def read_onnx(path: Path) -> onnx_ir.Model:
    """Reads an ONNX file; weights that lie beside it are not read before they are used.

    Nodes that are not in topological order are brought into one. Forms of older files become
    today's: initializers are no inputs, none is sparse, and a size of -1 is unknown.

    Args:
        path: The file.

    Returns:
        The graph: every tensor that a node reads is there, and no node depends on itself.

    Raises:
        UsageError: The file does not exist, is not an ONNX model, refers to data outside of its
            folder or that is not there, or holds a graph that no runtime could run: one with a
            cycle, with a tensor that no node computes, or with two tensors of one name.
    """
    import google.protobuf.message
    import onnx_ir

    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    require_external_data(path)
    try:
        model = _deserialized(path)
        if not model.ir_version:
            raise ValueError("it has no version of the format")
    except (
        google.protobuf.message.DecodeError,
        onnx_ir.serde.SerdeError,
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise _unreadable(path, error) from error
    _require_text(model, path)
    _require_data_inside(model, path)
    _require_data_fits(model, path)
    require_sound(model, str(path))
    use_current_forms(model)
    return model


def _deserialized(path: Path) -> onnx_ir.Model:
    import onnx
    import onnx_ir

    proto = onnx.load(path, load_external_data=False)
    expand_sparse_initializers(proto)
    model = onnx_ir.from_proto(proto)
    onnx_ir.external_data.set_base_dir(model.graph, path.parent)
    return model


def require_sound(model: onnx_ir.Model, where: str) -> None:
    """Sorts the nodes, and refuses what is not a graph at all.

    Args:
        model: The graph, whose nodes are put into topological order where they are not.
        where: What the error names.

    Raises:
        UsageError: There is a cycle, or a tensor that no node computes.
    """
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        _require_given(graph, where)
        try:
            if not is_sorted(graph):
                graph.sort()
        except ValueError as error:
            raise UsageError(
                f"{where} is not a valid graph: nodes depend on one another in a circle",
                where=", ".join(map(repr, cycle(graph))),
                fix="an output of each is an input of the next one: rename one of the tensors",
            ) from error


def _unreadable(path: Path, error: BaseException) -> UsageError:
    error = first_cause(error)
    what = f"{path} is not a readable ONNX model"
    if isinstance(error, RecursionError) or "MaxDepth" in str(error):
        return UsageError(
            f"{what}: graphs are nested too deeply in it",
            why="protobuf reads messages up to 100 levels deep; an If inside of an If takes three",
            fix="inline what is nested, or merge the conditions",
        )
    return UsageError(what, why=f"{type(error).__name__}: {error}", fix=_REWRITE)


def _require_given(graph: onnx_ir.Graph, where: str) -> None:
    for node in graph.all_nodes():
        for value in node.inputs:
            if value is not None and not _is_given(value):
                raise UsageError(
                    f"{where} is not a valid graph: no node computes the tensor {value.name!r}",
                    where=f"node {node.name!r} ({node.op_type}) reads it",
                    why="it is not an input, not an initializer, and not an output of a node",
                    fix="add the initializer or the input of that name",
                )
    for part in (graph, *graph.subgraphs()):
        for value in part.outputs:
            if not _is_given(value):
                raise UsageError(
                    f"{where} is not a valid graph: no node computes the output {value.name!r}",
                    where=f"graph {part.name!r}",
                    fix="name as output what a node computes",
                )


def _is_given(value: onnx_ir.Value) -> bool:
    return value.producer() is not None or value.is_graph_input() or value.is_initializer()


def external_tensors(model: onnx_ir.Model) -> Iterator[onnx_ir.ExternalTensor]:
    """The tensors of a model whose data lies in other files: of initializers and of attributes.

    Args:
        model: The model; graphs inside of nodes and functions are looked at as well.
    """
    import onnx_ir

    for graph in model.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, onnx_ir.ExternalTensor):
                yield value.const_value
        for node in graph:
            for attribute in node.attributes.values():
                if isinstance(attribute.value, onnx_ir.ExternalTensor):
                    yield attribute.value


def _require_text(model: onnx_ir.Model, path: Path) -> None:
    """Refuses names that are not UTF-8, which protobuf returns as bytes."""
    names: list[object] = [*model.opset_imports, model.producer_name, model.producer_version]
    for graph in model.graphs():
        names += [graph.name, *(value.name for value in (*graph.inputs, *graph.outputs))]
        names += graph.initializers
        for node in graph:
            names += [node.name, node.op_type, node.domain, *node.attributes]
            names += [value.name for value in node.outputs]
    wrong = [name for name in names if isinstance(name, bytes)]
    if wrong:
        raise UsageError(f"{path} holds a name that is not UTF-8: {wrong[0]!r}", fix=_REWRITE)


def _require_data_fits(model: onnx_ir.Model, path: Path) -> None:
    """Refuses tensors in the file whose data is not as long as their type and shape say."""
    import onnx_ir

    for graph in model.graphs():
        tensors = [value.const_value for value in graph.initializers.values()]
        attributes = (item for node in graph for item in node.attributes.values())
        tensors += [item.value for item in attributes if not item.is_ref()]
        for tensor in tensors:
            if not isinstance(tensor, onnx_ir.TensorProtoTensor):
                continue
            try:
                if tensor.raw.HasField("raw_data"):
                    fits = len(tensor.raw.raw_data) == tensor.nbytes
                else:
                    fits = tensor.numpy().shape == tuple(tensor.shape)
            except (TypeError, ValueError, OverflowError):
                fits = False
            if not fits:
                raise UsageError(
                    f"{path} is not a valid model: the data of {tensor.name!r} does not fit",
                    why=f"it is declared as {tensor.dtype} {tensor.shape}",
                    fix=_REWRITE,
                )


def _require_data_inside(model: onnx_ir.Model, path: Path) -> None:
    folder = path.parent.resolve()
    sizes: dict[str, int] = {}
    for tensor in external_tensors(model):
        location = str(tensor.location)
        if "\0" in location:
            raise UsageError(
                f"{path} names no file for its data: {location!r}",
                where=f"tensor {tensor.name!r}",
                fix=_REWRITE,
            )
        if location not in sizes:
            file = (folder / location).resolve()
            if Path(location).is_absolute() or not file.is_relative_to(folder):
                raise UsageError(
                    f"{path} refers to data outside of its folder: {location!r}",
                    where=f"tensor {tensor.name!r}",
                    why="a model from elsewhere could read any file of this machine in this way",
                    fix="put the data beside the model, and name it by its path from there",
                )
            if not file.is_file():
                raise UsageError(
                    f"the data of {path} is missing: there is no {location!r} beside it",
                    where=f"tensor {tensor.name!r}",
                    fix="copy the model together with its data",
                )
            sizes[location] = file.stat().st_size
        begin, length = tensor.offset or 0, tensor.length
        end = begin + (tensor.nbytes if length is None else length)
        if min(begin, end - begin) < 0 or end > sizes[location]:
            raise UsageError(
                f"the data of {path} is truncated: {location!r} has {sizes[location]} bytes",
                where=f"tensor {tensor.name!r} lies at {begin}..{end}",
                fix="copy the file again",
            )
