"""Models that OpenVINO compiled: options, precision and errors in one place."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from modelport.backends.base import refuse_unknown_options
from modelport.errors import BuildError, UsageError
from modelport.target import Target

if TYPE_CHECKING:
    import openvino

HINTS = ("latency", "throughput")
OPTIONS = ("hint", "threads")
_ELEMENT_TYPES = {"bf16": "bf16"}
"""What OpenVINO is to compute in, by a target's precision; f32 for any other.

Its own default is bf16 wherever the processor has it."""


@functools.cache
def import_openvino() -> ModuleType:
    """The package ``openvino``, which reports every import home unless it is kept from it.

    Raises:
        ImportError: It is not installed.
    """
    telemetry = "openvino_telemetry"
    loaded = sys.modules.get(telemetry)
    # With the package out of reach, openvino takes a stub of its own in its place.
    sys.modules[telemetry] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    finally:
        if loaded is None:
            del sys.modules[telemetry]
        else:
            sys.modules[telemetry] = loaded


@functools.cache
def core() -> openvino.Core:
    """OpenVINO's core, one a process."""
    return import_openvino().Core()


def open_compiled(
    model: Path | bytes, target: Target, options: Mapping[str, Any] | None = None
) -> openvino.CompiledModel:
    """Compiles a model for the CPU.

    Args:
        model: An ONNX file, or its bytes.
        target: What to run on.
        options: ``hint`` (one of `HINTS`: all cores for one run, or as many runs at a time as
            there are cores) and ``threads`` (0 for one a core).

    Returns:
        The compiled model.

    Raises:
        UsageError: The target asks for what this backend does not have, or an option is unknown.
        BuildError: OpenVINO refuses the model, or would compute in another precision.
    """
    options = options or {}
    properties = _properties(target, options)
    try:
        compiled = core().compile_model(_read(model), "CPU", properties)
    except RuntimeError as error:
        place = str(model) if isinstance(model, Path) else "the model"
        raise BuildError(
            f"OpenVINO {import_openvino().__version__} cannot compile {place}",
            why=reason(error),
            fix="an operator that OpenVINO lacks needs a body of standard operators; "
            "`modelport bisect SOURCE --target openvino --reduce --crash` finds what is refused",
        ) from error
    wanted = properties["INFERENCE_PRECISION_HINT"]
    came = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if came != wanted:
        raise BuildError(
            f"this processor has no {target.precision} arithmetic",
            why=f"OpenVINO would compute in {came} instead, and not say so",
            fix=f"deploy for openvino in fp32, or on a processor that has {target.precision}",
        )
    return compiled


def _read(model: Path | bytes) -> openvino.Model:
    read = core().read_model(model)
    for node in read.get_ordered_ops():
        if node.get_type_name() == "TopK" and "stable" in node.get_attributes():
            # ONNX: of equal elements the first one comes first. OpenVINO's reader does not ask.
            node.set_attribute("stable", True)
    return read


def _properties(target: Target, options: Mapping[str, Any]) -> dict[str, Any]:
    if target.device != "cpu" or target.provider or target.compute_capabilities:
        raise UsageError(
            f"the openvino backend does not offer {str(target)!r}", fix="openvino or openvino:cpu"
        )
    refuse_unknown_options("openvino", options, OPTIONS)
    hint = options.get("hint", HINTS[0])
    if hint not in HINTS:
        raise UsageError(f"unknown hint {hint!r}", fix=f"one of: {', '.join(HINTS)}")
    threads = options.get("threads", 0)
    return {
        "PERFORMANCE_HINT": hint.upper(),
        "INFERENCE_PRECISION_HINT": _ELEMENT_TYPES.get(target.precision, "f32"),
        **({"INFERENCE_NUM_THREADS": threads} if threads else {}),
    }


def reason(error: BaseException) -> str:
    """What OpenVINO complains of, on one line, without the places in its sources."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [
        line
        for line in lines
        if line and not line.startswith(("Exception from", "FrontEnd API", "To facilitate"))
    ]
    return " ".join(" ".join(told).split())
