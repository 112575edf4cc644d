from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from modelport.capture.symbolic import honour_symbolics
from modelport.capture.torch_private import registries

ort.set_default_logger_severity(3)


class Exported:
    """An exported model beside its original."""

    def __init__(self, model: Any, program: Any, findings: list[Any]) -> None:
        self.model = model
        self.program = program
        self.findings = findings
        self.proto = program.model_proto

    @property
    def nodes(self) -> list[str]:
        return [f"{n.domain}::{n.op_type}".removeprefix("::") for n in self.proto.graph.node]

    def node(self, name: str) -> Any:
        return next(n for n in self.proto.graph.node if n.op_type == name)

    @property
    def rules(self) -> list[str]:
        return [finding.rule for finding in self.findings]

    def matches(self, *args: torch.Tensor, atol: float = 1e-5) -> None:
        """Compares ONNX Runtime with the model in eager mode."""
        session = ort.InferenceSession(self.proto.SerializeToString())
        names = [value.name for value in session.get_inputs()]
        feeds = {name: value.numpy() for name, value in zip(names, args, strict=True)}
        expected = self.model(*[value.clone() for value in args])
        expected = expected if isinstance(expected, tuple | list) else (expected,)
        for found, wanted in zip(session.run(None, feeds), expected, strict=True):
            assert found.dtype == wanted.detach().numpy().dtype
            np.testing.assert_allclose(found, wanted.detach().numpy(), atol=atol, rtol=1e-5)


@pytest.fixture
def export() -> Callable[..., Exported]:
    def run(
        model: Any,
        *args: Any,
        dynamic: tuple[Any, ...] | None = None,
        opset: int = 18,
        kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> Exported:
        module = model if isinstance(model, torch.nn.Module) else Wrapped(model)
        module.eval()
        shapes = None
        if dynamic is not None:
            shapes = tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in dynamic)
            if not isinstance(model, torch.nn.Module):
                shapes = (shapes,)
        # Exports share torch's table of translations: half of a small export's time.
        with warnings.catch_warnings(), registries.reused(opset):
            warnings.simplefilter("ignore")
            with honour_symbolics(module, args, kwargs, opset, **options) as bridge:
                program = torch.onnx.export(
                    module,
                    args,
                    kwargs=kwargs,
                    dynamo=True,
                    verbose=False,
                    opset_version=opset,
                    dynamic_shapes=shapes,
                    custom_translation_table=bridge.translation_table,
                )
                findings = bridge.examine(program)
        return Exported(module, program, findings)

    return run


class Wrapped(torch.nn.Module):
    """A model of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)
