"""Asking TensorRT's parser what it takes, in a process of its own, which it may end.

Its arguments are the library's module and the model's file; see
`modelport.child_process.MessageProcess`.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends.tensorrt.build.build_errors import describe, explain
from modelport.backends.tensorrt.library import Flavor
from modelport.backends.tensorrt.unsupported_ops import form_of
from modelport.child_process import Answers, MessageProcess
from modelport.errors import UsageError
from modelport.findings import Finding, Severity
from modelport.model import Model

if TYPE_CHECKING:
    import onnx_ir

_SECONDS = 3600.0


def ask_parser(ir: onnx_ir.Model, flavor: Flavor) -> Iterator[Finding]:
    """Asks the library's own parser which nodes it refuses; nothing is built.

    Args:
        ir: The graph.
        flavor: The library.

    Yields:
        An error for each node that is refused, with the way out; a note where the library is not
        installed, so that nobody was asked.
    """
    try:
        flavor.open()
    except UsageError as error:
        yield Finding(
            "trt-not-asked",
            Severity.NOTE,
            f"{flavor.title} is not usable here ({error.why or error.what}): these are rules "
            "alone, its parser was not asked",
            fix=flavor.install,
        )
        yield from _known(ir, flavor)
        return
    copy = ir.clone()
    for node in copy.graph.all_nodes():
        # The parser names a node in its errors, where it has a name.
        node.name = node.name or node.outputs[0].name
    for refused in _ask(copy, flavor):
        where, why, fix = explain(refused, [], copy)
        yield Finding(
            "trt-parser",
            Severity.ERROR,
            f"{flavor.title} does not take it: {why}",
            where or "",
            fix,
        )


def _known(ir: onnx_ir.Model, flavor: Flavor) -> Iterator[Finding]:
    """What is refused by all that is known."""
    for node in ir.graph.all_nodes():
        form = form_of(node)
        if form is not None and form.certain and not form.parses:
            yield Finding(
                "trt-refused",
                Severity.ERROR,
                f"{flavor.title} does not take it: {form.why}",
                describe(node),
                form.fix,
            )


def _ask(ir: onnx_ir.Model, flavor: Flavor) -> list[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Model(ir).save(Path(folder) / "model.onnx")
        with MessageProcess(__name__, flavor.module, path) as process:
            answer = process.receive(_SECONDS)
            if answer is not None:
                found: list[dict[str, str]] = answer["refused"]
                return found
            end = process.death()
    printed = " ".join(end.output.split())[-300:]
    what = f"its parser ended the process: {end.how} {printed}"
    return [{"what": what, "node": "", "operator": ""}]


def main(descriptor: str, module: str, path: str) -> int:
    """Parses, and sends the refused nodes; see the module."""
    trt: Any = importlib.import_module(module)
    log = trt.Logger(trt.Logger.INTERNAL_ERROR)
    network = trt.Builder(log).create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    parser = trt.OnnxParser(network, log)
    taken = parser.supports_model_v2(Path(path).read_bytes(), path)
    errors = [parser.get_error(place) for place in range(parser.num_errors)]
    refused = [
        {"what": error.desc(), "node": error.node_name(), "operator": error.node_operator()}
        for error in errors
    ]
    if not taken and not refused:
        refused = [{"what": "it does not say why", "node": "", "operator": ""}]
    Answers(descriptor).send({"refused": [] if taken else refused})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
