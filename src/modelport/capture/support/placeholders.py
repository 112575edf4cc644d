"""Nodes that stand for operators without a mapping, so that the rest of a model is translated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from modelport.capture.torch_private import operators as private

if TYPE_CHECKING:
    import torch

DOMAIN = "modelport.missing"
"""Domain of the stand-ins; no graph that has one is kept."""


def register(nodes: Iterable[torch.fx.Node], registry: Any) -> None:
    """Registers a stand-in for the operators of nodes without a mapping.

    Args:
        nodes: All nodes of those operators.
        registry: The exporter's mappings.
    """
    for name, (target, sizes) in _output_counts(nodes).items():
        private.register_stand_in(registry, target, _stand_in(name, sizes))


def guard(nodes: Iterable[torch.fx.Node], registry: Any, failures: dict[str, str]) -> None:
    """Lets a stand-in take over where one of the exporter's functions raises.

    Args:
        nodes: The nodes that will be translated.
        registry: The exporter's mappings.
        failures: Filled while translating: the first reason, by operator.
    """
    counted = _output_counts(nodes)

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        stand_in = _stand_in(name, counted[name][1])

        def guarded(*args: Any, **kwargs: Any) -> Any:
            from onnxscript import evaluator

            recorder: Any = evaluator.default()
            written = len(recorder.nodes)
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - an exporter's function may raise anything
                lines = str(error).strip().splitlines()
                failures.setdefault(name, lines[0] if lines else type(error).__name__)
                del recorder.nodes[written:]
                return stand_in(*args, **kwargs)

        return guarded

    private.wrap_functions(registry, {name: target for name, (target, _) in counted.items()}, wrap)


def _output_counts(
    nodes: Iterable[torch.fx.Node],
) -> dict[str, tuple[Any, list[int | None]]]:
    """Targets of nodes and how many values each of their nodes gives, by name."""
    found: dict[str, tuple[Any, list[int | None]]] = {}
    for node in nodes:
        name = private.target_name(node.target)
        found.setdefault(name, (node.target, []))[1].append(_output_count(node))
    return found


def _output_count(node: torch.fx.Node) -> int | None:
    """How many values a node gives; None for one that is not in a list."""
    value = node.meta.get("val")
    return len(value) if isinstance(value, tuple | list) else None


def _stand_in(name: str, sizes: list[int | None]) -> Callable[..., Any]:
    """A function of the exporter that writes one node without a meaning."""
    several = [size for size in sizes if size is not None]

    def write(*args: Any, **kwargs: Any) -> Any:
        import onnx_ir
        from onnxscript import evaluator

        leaves = _leaves([*args, *kwargs.values()])
        inputs = [leaf for leaf in leaves if isinstance(leaf, onnx_ir.Value)]
        node = onnx_ir.Node(DOMAIN, name, inputs, num_outputs=max(several) if several else 1)
        recorder: Any = evaluator.default()
        recorder.nodes.append(node)
        return list(node.outputs) if several else node.outputs[0]

    return write


def _leaves(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value
