"""Asking ONNX Runtime for a kernel by handing it a model of one node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def probe(schema: Any) -> tuple[str, ...] | None:
    """The types that ONNX Runtime's CPU provider takes for the first input of a version.

    A session of a one-node model is created for each type, which shows what the runtime accepts:
    it may cast float16 to float, and inline a function body, where it has no kernel.

    Args:
        schema: The version.

    Returns:
        The types, sorted; None where no such model can be made up, because the operator has no
        input or a required attribute that is a graph.
    """
    if not schema.inputs or _model(schema, next(iter(schema.inputs[0].types))) is None:
        return None
    return tuple(kind for kind in sorted(schema.inputs[0].types) if _runs(schema, kind))


def _runs(schema: Any, kind: str) -> bool:
    """Whether a session can be made of the operator with this type for its first input.

    A failure that is not about a missing kernel still means that a kernel was found: the kernel
    itself refused the made-up attributes, after the runtime had looked for it.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    model = _model(schema, kind)
    if model is None or "complex" in kind:  # ONNX Runtime has no complex tensors.
        return False
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Optimizers would fold, fuse or inline the node before anybody looked for its kernel.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except (state.NotImplemented, state.InvalidGraph):
        return False
    except (state.Fail, state.InvalidArgument, state.RuntimeException) as error:
        return "Could not find an implementation" not in str(error)
    return True


def _model(schema: Any, kind: str) -> onnx.ModelProto | None:
    """A model of the operator with the first type parameter bound, or None where none can be."""
    from onnx import helper

    bound = {schema.inputs[0].type_str: kind}
    inputs = []
    for formal in schema.inputs:
        if formal.option.name == "Optional":
            break
        chosen = bound.setdefault(formal.type_str, _some_type(formal, kind))
        element = _element_type(chosen)
        if element is None:
            return None
        inputs.append(helper.make_tensor_value_info(formal.name, element, None))
    required = [a for a in schema.attributes.values() if a.required]
    attributes: dict[str, Any] = {a.name: _some_value(a) for a in required}
    if any(value is None for value in attributes.values()):
        return None
    outputs = [f for f in schema.outputs if f.option.name != "Optional"]
    node = helper.make_node(
        schema.name,
        [i.name for i in inputs],
        [f"out_{f.name}" for f in outputs],
        domain=schema.domain,
        **attributes,
    )
    graph = helper.make_graph([node], "probe", inputs, list(_untyped(outputs)))
    opsets = [helper.make_opsetid(schema.domain, schema.since_version)]
    if schema.domain:
        opsets.append(helper.make_opsetid("", 18))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _untyped(outputs: list[Any]) -> Iterator[onnx.ValueInfoProto]:
    """Outputs without a type: ONNX Runtime infers it."""
    from onnx import ValueInfoProto

    for formal in outputs:
        yield ValueInfoProto(name=f"out_{formal.name}")


def _some_type(formal: Any, first: str) -> str:
    preferred = (first, "tensor(float)", "tensor(int64)", "tensor(bool)")
    return next((kind for kind in preferred if kind in formal.types), sorted(formal.types)[0])


def _element_type(kind: str) -> int | None:
    from onnx import TensorProto

    if not kind.startswith("tensor("):
        return None
    return dict(TensorProto.DataType.items()).get(kind[len("tensor(") : -1].upper())


def _some_value(attribute: Any) -> object:
    """A value of the attribute's kind; None for graphs and the like, which none can be made of."""
    samples: dict[str, object] = {
        "INT": 1,
        "FLOAT": 1.0,
        "STRING": "constant",
        "INTS": [1],
        "FLOATS": [1.0],
        "STRINGS": ["constant"],
    }
    return samples.get(attribute.type.name)
