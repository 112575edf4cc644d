"""Which of a model's PyTorch operators have an ONNX mapping, which have none, and what to do."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.capture.support.support_rows import eager_rows, exported_rows
from modelport.capture.support.table import (
    Lowered,
    OnnxCount,
    OperatorSupport,
    Status,
    SupportTable,
)
from modelport.capture.torch_private import operators as private
from modelport.capture.torch_private.program_files import load_program_data
from modelport.capture.torch_private.registries import registry_for
from modelport.errors import ExportError, UsageError

if TYPE_CHECKING:
    import torch

__all__ = [
    "Lowered",
    "OnnxCount",
    "OperatorSupport",
    "Status",
    "SupportTable",
    "operator_support",
]


def operator_support(
    program_or_module: torch.nn.Module | torch.export.ExportedProgram | str | Path,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    opset: int | None = None,
    *,
    dynamic_shapes: Any = None,
    custom_translation_table: Mapping[Any, Any] | None = None,
) -> SupportTable:
    """Looks up, for every operator of a model, what ONNX operators it becomes.

    The model is taken through the exporter's own steps (export, decomposition, translation), in
    which operators without a mapping get a stand-in: so all of them are found at once, and what
    the others become is read from the graph that was written. Where the model cannot be exported,
    it is run once and the operators that ran are listed; `SupportTable.notes` says so.

    Args:
        program_or_module: A module, an exported program, or the path of a ``.pt2`` file.
        args: Example inputs, positional; needed for a module.
        kwargs: Example inputs, by keyword.
        opset: The opset to ask about; the lowest that torch's exporter writes (18) by default.
        dynamic_shapes: As of ``torch.export.export``; dynamic sizes may become other operators
            than fixed ones.
        custom_translation_table: Further mappings, as of ``torch.onnx.export``.

    Returns:
        The table.

    Raises:
        ExportError: The model neither exports nor runs on the inputs.
        UsageError: The opset is out of range, or the source is no model.
    """
    opset = _checked_opset(opset)
    registry = registry_for(opset, custom_translation_table or {})
    notes = _opset_notes(opset)
    program, failure = _program(program_or_module, args, dict(kwargs or {}), dynamic_shapes)
    if program is not None:
        rows, further = exported_rows(program, registry, opset)
    else:
        rows = eager_rows(_recorded(program_or_module, args, dict(kwargs or {})), registry)
        further = [
            "the model does not export, so this lists the operators that ran eagerly on these "
            f"inputs, without what they become: {failure}"
        ]
    ordered = sorted(rows, key=lambda row: (row.status is Status.MAPPED, row.name))
    return SupportTable(opset, tuple(ordered), (*notes, *further))


def _checked_opset(opset: int | None) -> int:
    import onnx.defs

    oldest, newest = 7, onnx.defs.onnx_opset_version()
    opset = private.torchlib_opset() if opset is None else opset
    if not oldest <= opset <= newest:
        raise UsageError(
            f"opset {opset} is out of range",
            why=f"the installed onnx package knows opsets up to {newest}",
            fix=f"give one from {oldest} to {newest}",
        )
    return opset


def _opset_notes(opset: int) -> list[str]:
    oldest = private.torchlib_opset()
    if opset >= oldest:
        return []
    return [
        f"torch's exporter writes opset {oldest} and newer; for opset {opset} the graph must be "
        "converted down, which succeeds only where every node has an older form"
    ]


def _program(
    model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], dynamic_shapes: Any
) -> tuple[torch.export.ExportedProgram | None, str]:
    """The exported program, or None and the reason why there is none."""
    import torch

    if isinstance(model, torch.export.ExportedProgram):
        return model, ""
    if isinstance(model, str | Path):
        return _loaded(Path(model)), ""
    if not isinstance(model, torch.nn.Module):
        raise UsageError(
            f"a {type(model).__name__} has no PyTorch operators to look up",
            fix="give a torch.nn.Module, a torch.export.ExportedProgram or a .pt2 file",
        )
    try:
        with torch.no_grad():
            program = torch.export.export(
                model, args, kwargs, dynamic_shapes=dynamic_shapes, strict=False
            )
    except Exception as error:  # noqa: BLE001 - tracing runs the user's code, which may raise anything
        lines = str(error).strip().splitlines() or ["(no message)"]
        return None, f"{type(error).__name__}: {lines[0]}"
    return program, ""


def _loaded(path: Path) -> torch.export.ExportedProgram:
    if path.suffix != ".pt2":
        raise UsageError(
            f"{path} has no PyTorch operators to look up",
            fix="give a .pt2 file, or a recipe that makes the module",
        )
    try:
        return load_program_data(path)
    except (OSError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"cannot read {path} as an exported program: {error}") from error


def _recorded(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The operators that run when the model does."""
    import torch

    operators: list[Any] = []
    try:
        with _plain_kernels(), torch.no_grad(), private.recorded_operators(operators):
            model(*args, **kwargs)
    except Exception as error:  # the user's code may raise anything
        raise ExportError(
            f"{type(model).__name__} neither exports nor runs on the example inputs",
            why=f"{type(error).__name__}: {error}",
            fix="call the model on the example inputs until that works, then ask again",
        ) from error
    return operators


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Without the fused kernels that only eager PyTorch has, and an export never sees."""
    import torch

    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.backends.mkldnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
