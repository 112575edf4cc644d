"""The ways from a PyTorch model to an ONNX graph: dynamo, trace and script."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport import source_location
from modelport.capture.assigned_weights import AssignmentsFollowed
from modelport.capture.custom_operators import has_kernel
from modelport.capture.dynamic import DynamicDims, to_torch_shapes
from modelport.capture.inputs import BoundInputs
from modelport.capture.names import drop_invented_names, separate_outputs
from modelport.capture.rewriters import Active, Applied, patch, rewriting
from modelport.capture.rewriters.translations import shipped_translations
from modelport.capture.symbolic import honour_symbolics
from modelport.capture.symbolic_int import sizes_stay_whole
from modelport.capture.torch_private import graphs, lookups, programs, registries, symbolics
from modelport.errors import ExportError, first_cause
from modelport.findings import Finding, Severity
from modelport.graph.location import keep_documented_places
from modelport.ir.shape_inference import infer_shapes
from modelport.target import Target

if TYPE_CHECKING:
    import onnx_ir
    import torch


@dataclass(frozen=True)
class Request:
    """What a strategy is to capture.

    Attributes:
        model: The module, in evaluation mode, or an exported program.
        bound: Example inputs with names.
        dims: Dynamic dimensions.
        opset: Opset of the default domain.
        output_names: Names of the outputs, or None for torch's.
        translations: The user's own translations of operators, for dynamo.
        export_params: Whether weights go into the graph; else they are inputs.
        target: What the graph is for, which decides on rewrites; None for any.
    """

    model: Any
    bound: BoundInputs
    dims: DynamicDims
    opset: int
    output_names: Sequence[str] | None
    translations: Mapping[Any, Any] = field(default_factory=dict)
    export_params: bool = True
    target: Target | None = None


@dataclass(frozen=True)
class Heard:
    """A warning that was given while capturing.

    Attributes:
        category: Name of the warning's class.
        message: Its text.
        place: ``file:line`` in the user's code.
        is_users: The user's code itself is warned; else what it called.
    """

    category: str
    message: str
    place: str
    is_users: bool


class LaterOpsetError(ExportError):
    """An operator has no translation that does, and another one at a later opset.

    Attributes:
        opset: That opset.
    """

    opset = 0


@dataclass
class Capture:
    """What a strategy gave.

    Attributes:
        ir: The graph.
        strategy: The strategy that made it.
        program: The exported program, where there is one.
        warnings: What Python and torch warned of meanwhile.
        guard_places: Where torch.export made assumptions about sizes.
        findings: What the strategy noticed itself.
        rewrites: The rewrites that took part.
    """

    ir: onnx_ir.Model
    strategy: str
    program: torch.export.ExportedProgram | None = None
    warnings: list[Heard] = field(default_factory=list)
    guard_places: Sequence[programs.GuardPlace] = ()
    findings: list[Finding] = field(default_factory=list)
    rewrites: Sequence[Applied] = ()


def capture_dynamo(request: Request) -> Capture:
    """Captures with ``torch.export`` and translates the program operator by operator.

    Raises:
        ExportError: torch cannot capture or translate the model.
    """
    try:
        with sizes_stay_whole(request.model) as changed:
            return _capture_dynamo(request)
    except LaterOpsetError:
        raise
    except ExportError:
        # What reads the source, torch's strict mode, wants Python's own.
        if not changed:
            raise
    return _capture_dynamo(request)


def _capture_dynamo(request: Request) -> Capture:
    import torch

    registries.load_exporter()
    bound = request.bound
    args, kwargs = bound.with_tensors()
    is_program = isinstance(request.model, torch.export.ExportedProgram)
    shapes = to_torch_shapes(request.dims, bound) if request.dims and not is_program else None
    with (
        _listening() as heard,
        registries.reused(request.opset) as lookup,
        _translating_errors("dynamo", lookup),
        _rewritten(request, "dynamo") as active,
        honour_symbolics(
            active.model, args, kwargs, request.opset, has_kernel=has_kernel
        ) as bridge,
        programs.watching_guards() as guard_places,
        AssignmentsFollowed(),
    ):
        program = torch.onnx.export(
            active.model,
            # Without keywords, torch takes a dict at the end for them: that is then an empty one.
            (*args, {}) if not kwargs and args and isinstance(args[-1], dict) else args,
            kwargs=kwargs,
            dynamo=True,
            input_names=list(bound.names),
            output_names=None if request.output_names is None else list(request.output_names),
            opset_version=request.opset,
            dynamic_shapes=shapes,
            custom_translation_table={
                **shipped_translations(),
                **bridge.translation_table,
                **request.translations,
            },
            export_params=request.export_params,
            verbose=False,
        )
        assert program is not None
        findings = bridge.examine(program) + strict_fallback(program) + active.findings()
    separate_outputs(program.model, request.output_names)
    if not request.export_params:
        _weights_to_inputs(program)
    return Capture(
        program.model,
        "dynamo",
        program.exported_program,
        heard,
        guard_places,
        findings,
        active.called,
    )


def _weights_to_inputs(program: Any) -> None:
    """Makes parameters and buffers inputs without a value, as the TorchScript exporter does.

    torch itself leaves weights out only where it writes the file.
    """
    graph = program.model.graph
    for name in program.exported_program.state_dict:
        value = graph.initializers.pop(name, None)
        if value is not None:
            value.const_value = None
            graph.inputs.append(value)


def capture_trace(request: Request) -> Capture:
    """Captures by running the model once and recording its operators.

    Raises:
        ExportError: torch cannot trace or translate the model.
    """
    return _capture_torchscript(lambda model: model, request, "trace")


def capture_script(request: Request) -> Capture:
    """Captures by compiling the model's Python source: loops and branches on data stay.

    Raises:
        ExportError: The model is not TorchScript, or cannot be translated.
    """
    import torch

    def compiled(model: Any) -> Any:
        return model if isinstance(model, torch.jit.ScriptModule) else torch.jit.script(model)

    return _capture_torchscript(compiled, request, "script")


def strict_fallback(program: Any) -> list[Finding]:
    """A note where torch fell back from non-strict to strict export."""
    strategy = symbolics.capture_strategy(program)
    if "NonStrict" in strategy or "Strict" not in strategy:
        return []
    return [
        Finding(
            "strict-fallback",
            Severity.NOTE,
            "torch.export failed on the model as it is and fell back to strict mode, which reads "
            "its source code",
            fix="see what `torch.export.export(model, args, strict=False)` refuses",
        )
    ]


STRATEGIES = {"dynamo": capture_dynamo, "trace": capture_trace, "script": capture_script}


def _capture_torchscript(prepare: Callable[[Any], Any], request: Request, strategy: str) -> Capture:
    import onnx_ir
    import torch

    bound = request.bound
    args, kwargs = bound.with_tensors()
    axes = {
        name: {axis: dim.name for axis, dim in axes.items()} for name, axes in request.dims.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        with (
            _listening() as heard,
            lookups.watching_symbolics(request.opset) as lookup,
            _translating_errors(strategy, lookup),
            _rewritten(request, strategy) as active,
            graphs.verbose_in_silence(),
        ):
            torch.onnx.export(
                prepare(active.model),
                args,
                str(path),
                kwargs=kwargs,
                dynamo=False,
                # It passes keywords in the order of the signature.
                input_names=list(bound.parameter_paths),
                output_names=None if request.output_names is None else list(request.output_names),
                opset_version=request.opset,
                dynamic_axes=axes,
                export_params=request.export_params,
                verbose=True,
            )
        graph = onnx_ir.load(path)
        # Large weights lie in files of the folder that is about to go.
        onnx_ir.external_data.load_to_model(graph)
    keep_documented_places(graph)
    infer_shapes(graph, overwrite=True)
    separate_outputs(graph, request.output_names)
    drop_invented_names(graph, request.dims)
    return Capture(
        graph, strategy, warnings=heard, findings=active.findings(), rewrites=active.called
    )


def _rewritten(request: Request, strategy: str) -> AbstractContextManager[Active]:
    return rewriting(request.model, target=request.target, opset=request.opset, capture=strategy)


@contextmanager
def _listening() -> Iterator[list[Heard]]:
    """Collects warnings, and keeps the exporters' log lines off the user's terminal."""
    loggers = [
        logger
        for name, logger in logging.root.manager.loggerDict.items()
        if name.split(".")[0] == "torch" and isinstance(logger, logging.Logger)
    ]
    handlers = [handler for logger in loggers for handler in logger.handlers]
    for handler in handlers:
        handler.addFilter(_is_error)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            heard: list[Heard] = []

            def hear(message: Any, category: type[Warning], *_: Any) -> None:
                place, is_users = (
                    source_location.of_caller(),
                    source_location.is_callers_doing(_BETWEEN),
                )
                heard.append(Heard(category.__name__, str(message), place, is_users))

            # Not recorded by `warnings` itself: it knows the innermost frame, which may be ours.
            warnings.showwarning = hear  # type: ignore[assignment]
            yield heard
    finally:
        for handler in handlers:
            handler.removeFilter(_is_error)


_BETWEEN = (
    "/torch/_tensor.py",
    "/torch/overrides.py",
    str(patch.__file__),
    "/site-packages/numpy/",
    "/warnings.py",
    __file__,
)
"""What stands between the code that converts a tensor and the warning of it."""


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


@contextmanager
def _translating_errors(strategy: str, lookup: lookups.TranslationLookup) -> Iterator[None]:
    try:
        yield
    except ExportError:
        raise
    except Exception as error:  # user code and torch raise anything
        what = f"capturing by {strategy} failed: {_root(error)}"
        where = source_location.of_error(first_cause(error)) or None
        later = lookup.later_opset()
        if later is None:
            raise ExportError(what, where=where) from error
        fix = f"{lookup.operator} has another translation at opset {later}: export at that"
        found = LaterOpsetError(what, where=where, fix=fix)
        found.opset = later
        raise found from error


_LISTED = 3
"""Lines that are told of a list."""


def _root(error: BaseException) -> str:
    """The first cause's first line, or the list that it announces: torch adds pages of advice."""
    error = first_cause(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    last = 1 + _LISTED if lines[0].endswith(":") else 1
    return f"{type(error).__name__}: {' '.join(lines[:last])}"
