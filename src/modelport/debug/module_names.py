"""Outputs of a PyTorch model's modules, as anchors in a graph of the model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelport.arrays import Array
from modelport.debug.origin import is_within, module_of
from modelport.debug.partial_execution import Store
from modelport.debug.submodel import used_values

if TYPE_CHECKING:
    import onnx_ir

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]

MODULE = "module:"
OUTPUT = "output:"


def record_modules(model: Any, run: Run, inputs: Mapping[str, Array], store: Store) -> list[str]:
    """Runs a PyTorch model, and records the outputs of its modules.

    Args:
        model: The model that `run` calls.
        run: From arrays by input name to arrays by output name.
        inputs: What to run it on.
        store: Receives the first output of every module that was called once, as ``module:PATH``,
            and the model's outputs as ``output:NAME``.

    Returns:
        Names of the outputs.
    """
    import torch

    from modelport.arrays import to_numpy
    from modelport.capture.reference_function import flat_outputs

    calls: Counter[str] = Counter()
    handles = []

    def keep(path: str, result: Any) -> None:
        calls[path] += 1
        tensors = flat_outputs(result)
        if tensors and calls[path] == 1:
            store.put(f"{MODULE}{path}", to_numpy(tensors[0]))

    if isinstance(model, torch.nn.Module):
        for path, module in model.named_modules():
            if path:
                handles.append(
                    module.register_forward_hook(
                        lambda _, __, result, path=path: keep(path, result)
                    )
                )
    try:
        outputs = run(inputs)
    finally:
        for handle in handles:
            handle.remove()
    for path, count in calls.items():
        if count > 1:
            # Which of the calls a tensor of the graph belongs to is not recorded.
            store.forget(f"{MODULE}{path}")
    for name, array in outputs.items():
        store.put(f"{OUTPUT}{name}", array)
    return list(outputs)


def anchors(graph: onnx_ir.Graph) -> dict[str, str]:
    """Tensors that are outputs of a module.

    Args:
        graph: A graph whose nodes say which module they come from.

    Returns:
        ``module:PATH`` by tensor name, for modules that give one tensor to the rest of the graph;
        of modules that give the same one, the innermost.
    """
    users: dict[str, list[str | None]] = defaultdict(list)
    for node in graph:
        origin = module_of(node)
        for value in used_values(node):
            users[value.name or ""].append(None if origin is None else origin.path)
    for value in graph.outputs:
        users[value.name or ""].append(None)
    names_of_modules: dict[str, list[str]] = defaultdict(list)
    for node in graph:
        origin = module_of(node)
        if origin is None:
            continue
        for path in _with_parents(origin.path):
            names_of_modules[path] += [
                out.name or ""
                for out in node.outputs
                if any(user is None or not is_within(user, path) for user in users[out.name or ""])
            ]
    found = {
        tensors[0]: path for path, tensors in sorted(names_of_modules.items()) if len(tensors) == 1
    }
    return {tensor: f"{MODULE}{path}" for tensor, path in found.items()}


def _with_parents(path: str) -> list[str]:
    parts = path.split(".") if path else []
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
