"""The output shapes of an operator that is opaque to the exporter."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from modelport.capture.symbolic.shape_inference_by_trial import Prober, ShapeRule, Tensors
from modelport.capture.torch_private import fakes
from modelport.errors import ExportError, ModelportError, first_line


class Runnable(Protocol):
    """What `OutputShapes` needs to know of an operator.

    Attributes:
        samples: Real tensors and sizes that the operator was given in the eager run, if it ran.
        rule: The probed rule, once there is one.
    """

    samples: Any
    rule: ShapeRule | None

    def run(self, tensors: Tensors, sizes: Sequence[Any]) -> tuple[list[torch.Tensor], Any]:
        """Runs the operator on tensors, and gives its output tensors first."""
        ...


@dataclass(frozen=True)
class OutputShapes:
    """Finds an opaque operator's output shapes: traces it, or else probes it.

    Attributes:
        name: The operator, and where it comes from.
        operator: How to run it.
    """

    name: str
    operator: Runnable

    def infer(self, tensors: Tensors, sizes: Sequence[Any]) -> list[torch.Tensor]:
        """Makes outputs without data; to be called inside a fake kernel.

        Args:
            tensors: The operator's inputs, without data.
            sizes: Its symbolic integers.

        Returns:
            Outputs without data. A size that only the data tells is a new symbol.

        Raises:
            ExportError: The operator cannot be traced, and was not seen in the eager run.
        """
        if self.operator.rule is None:
            try:
                return self._trace(tensors, sizes)
            except ModelportError:
                raise
            except Exception as error:  # noqa: BLE001 - user code, run without data
                # Then it is probed, and where it cannot be, this error is the cause.
                self.operator.rule = self._probe(tensors, sizes, error)
        return self.operator.rule.make(tensors, sizes)

    def _trace(self, tensors: Tensors, sizes: Sequence[Any]) -> list[torch.Tensor]:
        shape_env = fakes.fake_shape_env()
        known = fakes.unbacked_symbols([*tensors, *sizes])
        guard = fakes.ignore_fresh_symbols(shape_env) if shape_env else nullcontext()
        with guard:
            outputs, _ = self.operator.run(tensors, sizes)
        context: Any = torch.library.get_ctx()
        made = []
        for output in outputs:
            fresh = [bool(fakes.unbacked_symbols([dim]) - known) for dim in output.shape]
            if not any(fresh):
                made.append(output.clone())
                continue
            shape = [
                context.new_dynamic_size() if new else dim
                for new, dim in zip(fresh, output.shape, strict=True)
            ]
            made.append(torch.empty(shape, dtype=output.dtype, device=output.device))
        return made

    def _probe(self, tensors: Tensors, sizes: Sequence[Any], reason: Exception) -> ShapeRule:
        if self.operator.samples is None:
            raise ExportError(
                f"the output shapes of {self.name} cannot be found",
                why=f"it fails without data ({first_line(reason)}), and it was not seen in the "
                "eager run, so that it cannot be probed",
                fix="make its forward run on fake tensors, e.g. with torch.library.register_fake "
                "for the operator that it calls",
            ) from reason
        real_tensors, real_sizes = self.operator.samples
        return Prober(self.operator.run, real_tensors, real_sizes).find(tensors, sizes)
