"""TensorRT's refusals in words that help: which node, from where, why, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelport.backends.tensorrt.unsupported_ops import form_of
from modelport.errors import BuildError, UsageError
from modelport.graph.location import source_place

if TYPE_CHECKING:
    import onnx_ir

LINT = "`modelport graph lint MODEL --target tensorrt` names what it does not take"
_PARSING = re.compile(r'While parsing node number \d+ \[(\S+) -> "([^"]*)"')
_ASSERTION = re.compile(r"^(?:Assertion failed: )?(?P<condition>.*?): (?P<text>.*)$", re.S)
_PLACE = re.compile(r"\s*In \S+ at /\S+:\d+\)?|\s*\[checkMacros\.cpp[^\n]*|\(cudaError[^)]*\)")
_WRAPPER = re.compile(
    r"Invalid Node - \S+ |\b(?:API Usage|Internal|Shape) Error \((?:node_of_\S+: )?"
    r"|\b(?:Myelin|Cuda Runtime) \("
)
"""What is written around the text that says something."""
_HEAD = re.compile(r"^\[?[\w:.]*?\]?:? ?Error Code \d+: |^I\w+::\w+: Error Code \d+: ")
_NOISE = ("checkMacros.cpp", "cudaError")
"""Words of errors that only say that there is no GPU, which building ahead of time needs not."""
_ADVICE = (
    (
        r"within workspace limit",
        "a layer does not fit into the workspace",
        "give it more: --workspace 1G, or leave the limit away",
    ),
    (
        r"FP32 GEMM is not supported",
        "the GPUs of sm75 have no float32 matrix product there",
        "convert the model to fp16 (tensorrt-rtx:fp16:sm75) with no product kept in float32, or "
        "leave sm75 away",
    ),
    (
        r"HW-specific datatypes: fp8",
        "the GPUs before sm89 have no floats of 8 bits",
        "leave them away: fp8 is for sm89 and newer ones; int8 is for all",
    ),
    (
        r"has no runners that implement it",
        "it parses, and nothing computes it",
        "write it with other operators, or cut the model before it (modelport graph extract)",
    ),
    (
        r"contradictory IOptimizationProfile",
        "dimensions of one name have ranges that exclude each other",
        "give the dimensions different names, or ranges that meet",
    ),
    (
        r"CHECK\(status == CUDA_SUCCESS\)",
        "to build it, TensorRT must compute something on a GPU, and there is none here",
        "build on a machine with a GPU, or without stripped or refittable weights",
    ),
    (
        r"Unable to load library: (\S+?):",
        "a library of TensorRT is not installed",
        "install the complete package of TensorRT",
    ),
    (
        r"reshape wildcard|[Rr]eshaping (failed|\[)",
        "",
        "a size is baked into it: --reshape FILE.py:FUNCTION gives it another target, or export "
        "the model with that dimension dynamic",
    ),
    (
        r"Unsupported data type|Failed to convert ONNX da[tT]e type|unsupported input type of"
        r"|requires inputs with type|but must have type|Found unsupported",
        "",
        "cast to a type that it computes with before the node: float32, float16, bfloat16, int32, "
        "int64 or bool; there are no strings, complex numbers, float64, and integers of 16 bits",
    ),
    (
        r"[Oo]ut of memory|could not be allocated|MEM_ALLOC",
        "memory does not suffice",
        "smaller largest sizes in the profile, or a machine with more memory",
    ),
)


def refusal(details: Mapping[str, Any], ir: onnx_ir.Model, title: str) -> UsageError | BuildError:
    """The error for what the worker was refused.

    Args:
        details: The worker's message.
        ir: The graph that was parsed.
        title: What the library is called.
    """
    stage = details["stage"]
    if stage == "plugins":
        names = ", ".join(details["missing"])
        return BuildError(
            f"{title} has no plugin for {names}",
            fix="build the plugins: modelport ops build --tensorrt, and register their libraries",
        )
    if stage == "values":
        return UsageError(
            f"shapes depend on the values of {', '.join(details['inputs'])}, of which {title} must "
            "know the range",
            fix="give the option values={input: (least, usual, largest)}",
        )
    if stage == "parse":
        return _parsing(details, ir, title)
    text = _readable(details["log"])
    return _building(text, ir, title)


def _parsing(details: Mapping[str, Any], ir: onnx_ir.Model, title: str) -> BuildError:
    errors = details["errors"]
    nothing_known = {"what": _readable(details["log"]), "node": "", "operator": ""}
    where, why, fix = explain(errors[0] if errors else nothing_known, details["log"], ir)
    return BuildError(f"{title} does not take the graph", where=where, why=why, fix=fix)


def explain(
    error: Mapping[str, str], log: Sequence[str], ir: onnx_ir.Model
) -> tuple[str | None, str, str]:
    """An error of the parser in words that help.

    Args:
        error: What it says (``what``), and the ``node`` and ``operator`` that it names.
        log: The lines that the library logged.
        ir: The graph.

    Returns:
        The node, why it is refused, and what to do about it.
    """
    operator, output = error["operator"], ""
    # The first of them is the innermost, where nodes lie in bodies.
    for match in map(_PARSING.search, log):
        if match is not None:
            operator, output = match.groups()
            break
    node = _find(ir, operator, output, error["node"])
    where = describe(node) if node is not None else operator or None
    why, fix = _advice(error["what"], [] if node is None else [node])
    if not why:
        why = _cleaned(_condition_left_out(error["what"]))
    if not why or why == "false":
        why = f"it has no {operator or 'such operator'} of this form"
    return where, why, fix


def _advice(text: str, nodes: Sequence[onnx_ir.Node]) -> tuple[str, str]:
    """Why, where that is known better than the library says it, and what to do."""
    for node in nodes:
        form = form_of(node)
        if form is not None:
            return form.why, form.fix
    for pattern, why, fix in _ADVICE:
        if re.search(pattern, text):
            return why, fix
    return "", LINT


def _building(text: str, ir: onnx_ir.Model, title: str) -> BuildError:
    # The library names layers; some of what it says names none that is a node.
    nodes = list(_named(text, ir)) or [node for node in all_nodes(ir) if _fails_late(node)]
    where = "; ".join(map(describe, nodes[:3])) or None
    why, fix = _advice(text, nodes)
    return BuildError(f"{title} cannot build the engine", where=where, why=why or text, fix=fix)


def _fails_late(node: onnx_ir.Node) -> bool:
    form = form_of(node)
    return form is not None and form.parses


def describe(node: onnx_ir.Node) -> str:
    """A node for people: operator, name, and the place in the source that made it."""
    name = node.name or (node.outputs[0].name if node.outputs else "")
    operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    place = source_place(node)
    known = "" if place in (node.name, node.op_type) else f", from {place}"
    return f"{operator} {name!r}{known}"


def _find(ir: onnx_ir.Model, operator: str, output: str, name: str) -> onnx_ir.Node | None:
    found = None
    for node in all_nodes(ir):
        if output and any(value.name == output for value in node.outputs):
            return node
        if found is None and name and node.name == name and node.op_type == operator:
            found = node
    return found


def all_nodes(ir: onnx_ir.Model) -> Sequence[onnx_ir.Node]:
    """The nodes of a model, those inside of nodes and of functions included."""
    return [
        *ir.graph.all_nodes(),
        *(node for function in ir.functions.values() for node in function.all_nodes()),
    ]


def _named(text: str, ir: onnx_ir.Model) -> Sequence[onnx_ir.Node]:
    """The nodes that a text names. TensorRT calls those without a name after their output."""
    found = []
    for node in all_nodes(ir):
        names = [node.name] if node.name else [f"node_of_{out.name}" for out in node.outputs]
        if any(
            re.search(rf"(?<![\w/.]){re.escape(name)}(?:_\d+)?(?![\w/])", text) for name in names
        ):
            found.append(node)
    return found


def _condition_left_out(text: str) -> str:
    """The parser's assertions begin with their condition in C++; what follows is for people."""
    match = _ASSERTION.match(text)
    if text.startswith("Assertion failed: ") and match is not None:
        condition, _, rest = text.removeprefix("Assertion failed: ").rpartition(": ")
        return rest if condition else text
    quoted = re.search(r'&& "([^"]+)"', text)
    return quoted[1] if quoted else text


def _readable(log: Sequence[str]) -> str:
    told = [line for line in log if not any(word in line for word in _NOISE)]
    lines = [_cleaned(line) for line in told or log]
    return "; ".join(dict.fromkeys(line for line in lines if line)) or "it gives no reason"


def _cleaned(text: str) -> str:
    """Without the places in TensorRT's own sources."""
    lines = [_HEAD.sub("", line) for line in text.splitlines() if not line.startswith("[checkMac")]
    plain = _WRAPPER.sub("", _PLACE.sub("", " ".join(lines)))
    return " ".join(plain.split()).strip()
