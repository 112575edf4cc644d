"""Example inputs for a module, found by its layers and its ``forward``, and tried out."""

from __future__ import annotations

import inspect
import itertools
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelport.errors import first_line
from modelport.recipe_draft.draft import ExampleInput

if TYPE_CHECKING:
    import torch
    from torch import nn

_IMAGE_SIDES = (224, 64, 32, 28, 256, 16)
_LENGTH = 16
_TOKENS = re.compile(r"(^|_)(ids?|tokens?|indices|idx|words?)$")
_MASK = re.compile(r"mask")
_TRIES = 40
"""Most examples that are run."""


@dataclass(frozen=True)
class Guess:
    """An example tensor that may fit.

    Attributes:
        shape: Its shape; axis 0 is the batch unless `batch_axis` says otherwise.
        largest: One more than its largest integer; 0 for floats.
        batch_axis: The axis of the batch.
        axes: Names of further axes that may change.
    """

    shape: tuple[int, ...]
    largest: int = 0
    batch_axis: int = 0
    axes: tuple[tuple[int, str], ...] = ()

    @property
    def code(self) -> str:
        """The expression that makes it."""
        sizes = ", ".join(map(str, self.shape))
        if self.largest:
            comma = "," if len(self.shape) == 1 else ""
            return f"torch.randint(0, {self.largest}, ({sizes}{comma}))"
        return f"torch.randn({sizes})"

    def tensor(self, sizes: dict[int, int] | None = None) -> torch.Tensor:
        """The example, with other sizes on some axes."""
        import torch

        shape = [(sizes or {}).get(axis, size) for axis, size in enumerate(self.shape)]
        if self.largest:
            return torch.randint(0, self.largest, shape)
        return torch.randn(shape)


@dataclass(frozen=True)
class Examples:
    """Example inputs for a module.

    Attributes:
        inputs: One for each parameter that must be given.
        error: The first line of what the module raised, where no guess ran; else empty.
    """

    inputs: tuple[ExampleInput, ...]
    error: str = ""


def examples_for(model: nn.Module) -> Examples:
    """Finds example inputs for a module.

    Shapes follow from the first layers with weights (a convolution's channels, a linear layer's
    features, an embedding's rows). Each guess is run; the first that runs is taken. A dimension
    is dynamic where the module runs at another size, too, and an output changes with it.

    Args:
        model: The module; it is put into evaluation mode.
    """
    import torch

    names = _required(model)
    model.eval()
    first_error = ""
    options = [list(_guesses(model, name)) for name in names]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for guesses in itertools.islice(_combined(options), _TRIES):
            _, error = _run(model, [item.tensor() for item in guesses])
            if error is None:
                return Examples(_with_dynamic(model, names, guesses))
            first_error = first_error or first_line(error)
    firsts = [item[0] for item in options]
    inputs = tuple(ExampleInput(n, g.code) for n, g in zip(names, firsts, strict=True))
    return Examples(inputs, first_error)


def _required(model: nn.Module) -> list[str]:
    """Names of the parameters of ``forward`` that have no default."""
    parameters = inspect.signature(model.forward).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        item.name
        for item in parameters
        if item.kind in kinds and item.default is inspect.Parameter.empty
    ]


def _combined(options: Sequence[list[Guess]]) -> Iterator[tuple[Guess, ...]]:
    """All inputs alike first, as most models with several inputs have it; then every mixture."""
    seen = set()
    alike = zip(*options, strict=False)
    for guesses in itertools.chain(alike, itertools.product(*options)):
        if guesses not in seen:
            seen.add(guesses)
            yield guesses


def _guesses(model: nn.Module, name: str) -> Iterator[Guess]:
    made = list(dict.fromkeys(_by_layers(model)))
    if _TOKENS.search(name):
        made.sort(key=lambda guess: not guess.largest)
    elif _MASK.search(name):
        mask = Guess((1, _LENGTH), 2, axes=((1, "length"),))
        made.insert(0, mask)
    yield from made


def _by_layers(model: nn.Module) -> Iterator[Guess]:
    """Guesses by the first layers with weights, in the order in which they were registered."""
    from torch import nn

    for layer in itertools.islice((item for item in model.modules() if _has_own(item)), 4):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            for side in _IMAGE_SIDES:
                axes = ((2, "height"), (3, "width"))
                yield Guess((1, layer.in_channels, side, side), axes=axes)
        elif isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
            for length in (16000, 128, _LENGTH):
                yield Guess((1, layer.in_channels, length), axes=((2, "length"),))
        elif isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
            yield Guess((1, layer.in_channels, 16, 64, 64))
        elif isinstance(layer, nn.Embedding | nn.EmbeddingBag):
            yield Guess((1, _LENGTH), layer.num_embeddings, axes=((1, "length"),))
            yield Guess((1,), layer.num_embeddings)
        elif isinstance(layer, nn.RNNBase):
            if layer.batch_first:
                yield Guess((1, _LENGTH, layer.input_size), axes=((1, "length"),))
            yield Guess((_LENGTH, 1, layer.input_size), batch_axis=1, axes=((0, "length"),))
        elif isinstance(layer, nn.Linear):
            yield Guess((1, layer.in_features))
            yield Guess((1, _LENGTH, layer.in_features), axes=((1, "length"),))
    for channels in (3, 1):
        for side in _IMAGE_SIDES:
            yield Guess((1, channels, side, side), axes=((2, "height"), (3, "width")))
    yield Guess((1, _LENGTH))


def _has_own(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _run(
    model: nn.Module, tensors: Sequence[torch.Tensor]
) -> tuple[list[tuple[int, ...]], Exception | None]:
    """The shapes of a module's outputs, and what it raised where it did not return."""
    try:
        return _shapes(model(*tensors)), None
    except Exception as error:  # noqa: BLE001 - a module may raise anything
        return [], error


def _with_dynamic(
    model: nn.Module, names: Sequence[str], guesses: Sequence[Guess]
) -> tuple[ExampleInput, ...]:
    axes: list[dict[int, str]] = [{} for _ in guesses]
    if _runs_at(model, guesses, [{item.batch_axis: 2} for item in guesses]):
        for found, item in zip(axes, guesses, strict=True):
            found[item.batch_axis] = "batch"
    for name in dict.fromkeys(name for item in guesses for _, name in item.axes):
        own = [{axis for axis, other in item.axes if other == name} for item in guesses]
        larger = [
            {axis: item.shape[axis] + 32 for axis in some}
            for item, some in zip(guesses, own, strict=True)
        ]
        if name == "length" and _runs_at(model, guesses, larger):
            for found, some in zip(axes, own, strict=True):
                found.update(dict.fromkeys(some, name))
    return tuple(
        ExampleInput(name, item.code, dict(sorted(found.items())))
        for name, item, found in zip(names, guesses, axes, strict=True)
    )


def _runs_at(model: nn.Module, guesses: Sequence[Guess], sizes: Sequence[dict[int, int]]) -> bool:
    """Whether a module runs at other sizes, and some output has another shape then."""
    shapes = []
    for wanted in ([{}] * len(guesses), sizes):
        tensors = [item.tensor(other) for item, other in zip(guesses, wanted, strict=True)]
        made, error = _run(model, tensors)
        if error is not None:
            return False
        shapes.append(made)
    return shapes[0] != shapes[1]


def _shapes(outputs: Any) -> list[tuple[int, ...]]:
    """The shapes of the tensors in an output: a tensor, or a container of outputs."""
    import torch

    if isinstance(outputs, torch.Tensor):
        return [tuple(outputs.shape)]
    if isinstance(outputs, Mapping):
        outputs = tuple(outputs.values())
    if isinstance(outputs, tuple | list):
        return [shape for item in outputs for shape in _shapes(item)]
    return []
