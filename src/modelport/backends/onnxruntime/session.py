"""Sessions of ONNX Runtime: options, providers and errors in one place."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends.base import refuse_unknown_options
from modelport.backends.onnxruntime.providers import choose_providers
from modelport.errors import BuildError, UsageError
from modelport.files.trusted_code import TrustedCode
from modelport.ops.elf_check import require_loadable
from modelport.ops.onnxruntime_extensions import keep_loaded
from modelport.target import Target

if TYPE_CHECKING:
    import onnxruntime

OPTIONS = ("graph_optimization", "libraries", "threads", "spinning", "provider_options")
NO_KERNEL = "NOT_IMPLEMENTED"
"""ONNX Runtime's word for a valid graph that it has no kernel for."""

_FLOAT8 = "float8"
"""Its word for floats of 8 bits, in errors."""

GRAPH_OPTIMIZATIONS = ("none", "basic", "extended", "all")


def open_session(
    model: Path | bytes, target: Target, options: Mapping[str, Any] | None = None
) -> onnxruntime.InferenceSession:
    """Opens a session.

    Args:
        model: An ONNX file, or its bytes.
        target: What to run on.
        options: ``graph_optimization`` (one of `GRAPH_OPTIMIZATIONS`), ``threads`` (within an
            operator; 0 for one a core), ``spinning`` (whether threads wait busily for the next
            operator, which is faster in a session that has the cores to itself), ``libraries``
            (`TrustedCode` of custom operators) and ``provider_options`` (settings of the target's
            execution provider, texts by name).

    Returns:
        The session. It logs nothing but errors, which are raised as well.

    Raises:
        UsageError: The target asks for what this backend or this installation does not have, or
            an option is unknown.
        BuildError: ONNX Runtime refuses the model.
    """
    import onnxruntime

    options = options or {}
    level = options.get("graph_optimization", "all")
    _require_known(options, level)
    levels = onnxruntime.GraphOptimizationLevel
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = 4
    session_options.intra_op_num_threads = options.get("threads", 0)
    if not options.get("spinning", True):
        session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session_options.graph_optimization_level = {
        "none": levels.ORT_DISABLE_ALL,
        "basic": levels.ORT_ENABLE_BASIC,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "all": levels.ORT_ENABLE_ALL,
    }[level]
    for library in options.get("libraries", ()):
        _register(session_options, library)
    providers = choose_providers(
        target,
        onnxruntime.get_available_providers(),
        model,
        options.get("provider_options", {}),
    )
    try:
        session = onnxruntime.InferenceSession(model, session_options, providers=providers)
    except runtime_errors() as error:
        place = str(model) if isinstance(model, Path) else "the model"
        why = one_line(error)
        if _FLOAT8 in why and level in ("extended", "all"):
            # It merges products between Q/DQ of these floats into a node that lacks the type.
            return open_session(model, target, {**options, "graph_optimization": "basic"})
        raise BuildError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {place}",
            why=why,
            fix="it has no kernel for this operator with these dtypes: compute in float32 between "
            "casts, or deploy for another target"
            if NO_KERNEL in why
            else "`modelport check MODEL.onnx` says what is wrong with a graph",
        ) from error
    # Otherwise a provider that fails is replaced by another one, with no more than a print.
    session.disable_fallback()
    return session


def _register(session_options: onnxruntime.SessionOptions, library: TrustedCode) -> None:
    require_loadable(library.path, Path(library.where))
    keep_loaded(library)
    try:
        session_options.register_custom_ops_library(str(library.path))
    except runtime_errors() as error:
        raise BuildError(
            f"ONNX Runtime does not take the library of operators {library.name}",
            where=library.where,
            why=one_line(error),
            fix="build it on this machine: modelport ops build",
        ) from error


def _require_known(options: Mapping[str, Any], level: Any) -> None:
    refuse_unknown_options("onnxruntime", options, OPTIONS)
    if level not in GRAPH_OPTIMIZATIONS:
        raise UsageError(
            f"unknown graph_optimization {level!r}", fix=f"one of: {', '.join(GRAPH_OPTIMIZATIONS)}"
        )


@functools.cache
def runtime_errors() -> tuple[type[Exception], ...]:
    """The classes of errors that this version of ONNX Runtime raises."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    own = (value for value in vars(states).values() if isinstance(value, type))
    # The plain ones come from its binding to Python and from IO bindings.
    return (*(value for value in own if issubclass(value, Exception)), ValueError, RuntimeError)


def one_line(error: BaseException) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split())
