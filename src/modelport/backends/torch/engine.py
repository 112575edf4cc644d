"""Running on PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.arrays import Array, Arrays, from_numpy, to_numpy
from modelport.backends.base import Artifact, Binding, Engine, refuse_unknown_options
from modelport.backends.torch.program import program_code
from modelport.errors import BuildError, RunError, UsageError
from modelport.files.exported_program import read_program
from modelport.files.trusted_code import TrustedCode
from modelport.signature import Signature
from modelport.target import Target

if TYPE_CHECKING:
    import torch


COMPILE = "compile"
"""The target's provider that stands for ``torch.compile``."""
OPTIONS = ("channels_last", "freezing", "threads")


@dataclass(frozen=True)
class Program:
    """A program, ready to be called.

    Attributes:
        function: From tensors to a tuple of tensors.
        inputs: Names of the tensors that it takes.
        examples: Example tensors.
        owned: Addresses of the memory of its weights.
        place: What moves a tensor to where, and into the layout that, the program wants.
    """

    function: Callable[..., Any]
    inputs: tuple[str, ...]
    examples: tuple[torch.Tensor, ...]
    owned: frozenset[int]
    place: Callable[[torch.Tensor], torch.Tensor]

    def run(self, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Calls it.

        Raises:
            RunError: torch refuses the tensors, or cannot compile for them.
        """
        import torch

        try:
            with torch.no_grad():
                return tuple(self.function(*map(self.place, tensors)))
        except Exception as error:  # torch and its compiler raise anything
            shapes = ", ".join(
                f"{name} {list(tensor.shape)}"
                for name, tensor in zip(self.inputs, tensors, strict=True)
            )
            raise RunError(
                f"PyTorch failed on {shapes}",
                why=_told(error),
            ) from error


def _told(error: Exception) -> str:
    """What torch complains of, without its pages of advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])}"


def load_program(
    code: TrustedCode, target: Target, options: Mapping[str, Any] | None = None
) -> Program:
    """Opens a program.

    Args:
        code: The program, as `save_program` wrote it.
        target: What to run on: ``torch`` is eager, ``torch:compile`` is ``torch.compile``.
        options: ``threads`` (of the whole process; torch has no other), ``channels_last``
            (weights and pictures of rank 4 in that layout) and, for ``torch.compile``,
            ``freezing`` (weights are constants, and every shape is compiled on its own).

    Raises:
        UsageError: An option is unknown, or the target asks for what torch has not.
        BuildError: torch cannot read the program.
    """
    import torch

    options = options or {}
    _require_known(target, options)
    if target.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("this PyTorch finds no CUDA device", fix="use torch or torch:compile")
    if options.get("threads"):
        torch.set_num_threads(options["threads"])
    module, inputs, examples = read_program(code)
    place = _placing(target, bool(options.get("channels_last")))
    module = module.to(target.device)
    if options.get("channels_last"):
        module = module.to(memory_format=torch.channels_last)
    weights = [*module.parameters(), *module.buffers()]
    owned = frozenset(tensor.untyped_storage().data_ptr() for tensor in weights)
    function: Callable[..., Any] = module
    if target.provider == COMPILE:
        # Frozen code for sizes that vary is more than inductor 2.13 can do: one for each shape.
        frozen = bool(options.get("freezing"))
        dynamic = False if frozen else None
        function = torch.compile(module, dynamic=dynamic, options={"freezing": frozen})
    return Program(function, inputs, examples, owned, place)


def _require_known(target: Target, options: Mapping[str, Any]) -> None:
    if target.provider not in (None, COMPILE) or target.compute_capabilities:
        raise UsageError(
            f"the torch backend does not offer {str(target)!r}", fix="torch or torch:compile"
        )
    refuse_unknown_options("torch", options, OPTIONS)
    if options.get("freezing") and target.provider != COMPILE:
        raise UsageError("freezing is for torch.compile", fix="use the target torch:compile")


def _placing(target: Target, channels_last: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch

    def place(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.to(target.device)
        if channels_last and tensor.ndim == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    return place


def load(
    folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None
) -> TorchEngine:
    """Opens a program; see `modelport.backends.Backend.load`."""
    code = program_code(folder, artifact.graph, artifact.code)
    program = load_program(code, target, artifact.options)
    if signature is None:
        from modelport.model import Model

        signature = Model.load(folder / artifact.graph).signature
    missing = [name for name in program.inputs if name not in _names(signature)]
    if missing:
        raise BuildError(
            f"the program takes {', '.join(missing)}, which the captured graph lost",
            fix="`modelport diagnose SOURCE` says why",
        )
    return TorchEngine(program, target, signature)


def _names(signature: Signature) -> list[str]:
    return [spec.name for spec in signature.inputs]


class TorchEngine(Engine):
    """A program of torch.export behind the interface of every engine."""

    def __init__(self, program: Program, target: Target, signature: Signature) -> None:
        super().__init__(signature, target)
        self._program = program

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> Arrays:
        """Runs the model once; see `Engine.run`."""
        self._guard(inputs)
        names = self._requested(outputs)
        # Copied: an output may be an input that was passed on.
        tensors = [from_numpy(inputs[name]) for name in self._program.inputs]
        made = dict(zip(self._output_names, self._program.run(tensors), strict=True))
        return {name: self._fresh(made[name]) for name in names}

    def _fresh(self, tensor: torch.Tensor) -> Array:
        array = to_numpy(tensor)
        return array.copy() if tensor.untyped_storage().data_ptr() in self._program.owned else array

    def bind(self, inputs: Mapping[str, Array], outputs: Arrays | None = None) -> TorchBinding:
        """Fixes buffers; see `Engine.bind`. What a run makes is copied into `outputs`."""
        self._guard(inputs)
        if outputs is None:
            outputs = self.run(inputs)
        self._requested(list(outputs))
        return TorchBinding(self, dict(inputs), dict(outputs))


class TorchBinding(Binding):
    """A call with fixed buffers."""

    def __init__(self, engine: TorchEngine, inputs: Arrays, outputs: Arrays) -> None:
        for name, array in {**inputs, **outputs}.items():
            if not array.flags.c_contiguous:
                raise RunError(
                    f"the array bound to {name!r} is not C-contiguous",
                    fix="bind numpy.ascontiguousarray(array)",
                )
        self.inputs = inputs
        self.outputs = outputs
        self._engine = engine

    def run(self) -> Arrays:
        """Runs on what `inputs` hold now; see `Binding.run`."""
        for name, array in self._engine.run(self.inputs, list(self.outputs)).items():
            if array.shape != self.outputs[name].shape or array.dtype != self.outputs[name].dtype:
                raise RunError(
                    f"the output {name!r} is {array.dtype.name}{list(array.shape)}, which does not "
                    f"fit the array bound to it",
                    fix="bind an array of that dtype and shape",
                )
            self.outputs[name][...] = array
        return self.outputs
