"""Drafts for files of weights."""

from __future__ import annotations

import json
import pickle
import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.errors import UsageError
from modelport.recipe_draft.draft import Draft, ExampleInput, path_code
from modelport.recipe_draft.module_class import example_parts, import_lines, made_module

_HEADER_LIMIT = 100 << 20
"""Most bytes of a header of safetensors, as its format has it."""
_PREFIX = "module."
"""The beginning of every name where DataParallel or DistributedDataParallel saved."""


@dataclass(frozen=True)
class Weights:
    """Names and shapes of a file's tensors.

    Attributes:
        shapes: Shapes by name, in the file's order.
        keys: Where the dictionary of tensors lies in the file, from outside to inside.
        values: The dictionary itself, where it was read.
    """

    shapes: Mapping[str, tuple[int, ...]]
    keys: tuple[str, ...] = ()
    values: Mapping[str, Any] | None = None

    @property
    def prefixed(self) -> bool:
        """Whether all names begin as DistributedDataParallel's do."""
        return bool(self.shapes) and all(name.startswith(_PREFIX) for name in self.shapes)


def draft_checkpoint(path: Path, model: str | None, folder: Path) -> Draft:
    """Drafts a recipe for a file of weights.

    Args:
        path: The file.
        model: The class that the weights belong to; None where the user did not say.
        folder: The folder that the recipe is written to.

    Raises:
        UsageError: The file cannot be read, or its weights do not fit the class.
    """
    here = path_code(path, folder)
    if path.suffix == ".safetensors":
        loading = [f"weights = load_file({here})"]
        imports = ["from pathlib import Path", "from safetensors.torch import load_file"]
        return _for_weights(path, _safetensors(path), loading, imports, model, folder)
    imports = ["from pathlib import Path", "import torch"]
    if _is_torchscript(path):
        return _for_script(path, here, imports)
    try:
        weights = _state_dict(path)
    except pickle.UnpicklingError:
        return _for_pickle(path, here, imports)
    loading = [f'weights = torch.load({here}, map_location="cpu", weights_only=True)']
    loading += [f"weights = weights[{json.dumps(key)}]" for key in weights.keys]
    return _for_weights(path, weights, loading, imports, model, folder)


def _for_weights(
    path: Path,
    weights: Weights,
    loading: list[str],
    imports: list[str],
    model: str | None,
    folder: Path,
) -> Draft:
    if weights.prefixed:
        loading = [
            *loading,
            f'weights = {{name.removeprefix("{_PREFIX}"): item for name, item in weights.items()}}',
        ]
    imports = [*imports, "import torch"]
    body = [*loading, "model.load_state_dict(weights)"]
    notes = [_described(weights)]
    if model is None:
        missing = [
            "import the class that these weights belong to. "
            f"`modelport init {path.name} --model file.py:Class` fills in the rest."
        ]
        imports = [*imports, "from your_package import YourModel"]
        body = ["model = YourModel()", *body]
        return Draft(path.name, imports, body, (_by_shape(weights),), notes, missing)
    lines, name = import_lines(model, folder)
    made, missing = made_module(model)
    if made is None:
        body = [f"model = {name}(...)", *body]
        draft_inputs: tuple[ExampleInput, ...] = (_by_shape(weights),)
        return Draft(path.name, [*imports, *lines], body, draft_inputs, notes, missing)
    _require_fit(made, weights, path, model)
    inputs, more_notes, more_missing = example_parts(made)
    body = [f"model = {name}()", *body]
    return Draft(path.name, [*imports, *lines], body, inputs, [*notes, *more_notes], more_missing)


def _for_script(path: Path, here: str, imports: list[str]) -> Draft:
    return Draft(
        path.name,
        imports,
        [f'model = torch.jit.load({here}, map_location="cpu")'],
        (ExampleInput("input", "torch.randn(1, 3, 224, 224)", {0: "batch"}),),
        ["The file is a TorchScript program: it holds its code."],
        ["make the example inputs fit: a TorchScript program does not say their shapes."],
    )


def _for_pickle(path: Path, here: str, imports: list[str]) -> Draft:
    names = _pickled_classes(path)
    own = next((name for name in names if not name.startswith(("torch.", "collections."))), None)
    whole = f"a whole module of {own}" if own else "more than tensors"
    return Draft(
        path.name,
        imports,
        [f'model = torch.load({here}, map_location="cpu", weights_only=False)'],
        (ExampleInput("input", "torch.randn(1, 3, 224, 224)", {0: "batch"}),),
        [f"The file is a pickle of {whole}; `modelport init` did not run it."],
        [
            "loading this file runs code that it names: keep `weights_only=False` only where you "
            "trust who made it. `torch.save(model.state_dict(), ...)` writes weights alone.",
            "make the example inputs fit; `model` may be an entry of a dictionary.",
        ],
    )


def _safetensors(path: Path) -> Weights:
    """Reads the header: eight bytes of its length, then JSON (the format of safetensors)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_HEADER_LIMIT, path.stat().st_size):
            raise UsageError(f"{path} is not a file of safetensors", why="its header is cut off")
        try:
            header = json.loads(file.read(length))
            shapes = {
                name: tuple(item["shape"])
                for name, item in header.items()
                if name != "__metadata__"
            }
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"{path} is not a file of safetensors", why=f"{type(error).__name__}: {error}"
            ) from error
    return Weights(shapes)


def _state_dict(path: Path) -> Weights:
    """Reads tensors alone; what else a pickle holds is refused by torch.

    Raises:
        pickle.UnpicklingError: The file holds more than tensors and plain values.
        UsageError: The file cannot be read, or holds no tensors.
    """
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        if not _pickled_classes(path):
            raise UsageError(f"{path} is not a file that torch.save wrote") from None
        raise
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"{path} cannot be read as weights", why=f"{type(error).__name__}: {error}"
        ) from error
    best = max(_dictionaries(found, ()), key=lambda item: len(item[1]), default=((), {}))
    if not best[1]:
        raise UsageError(
            f"{path} holds no dictionary of tensors",
            why=f"it holds a {type(found).__name__}",
            fix="write the weights with torch.save(model.state_dict(), ...)",
        )
    keys, values = best
    return Weights({name: tuple(item.shape) for name, item in values.items()}, keys, values)


def _dictionaries(
    value: Any, keys: tuple[str, ...]
) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Dictionaries of tensors by name, with their keys from outside to inside."""
    import torch

    if not isinstance(value, Mapping) or len(keys) > 3:
        return []
    tensors = {
        name: item
        for name, item in value.items()
        if isinstance(name, str) and isinstance(item, torch.Tensor)
    }
    found = [(keys, tensors)] if len(tensors) == len(value) and tensors else []
    for name, item in value.items():
        if isinstance(name, str):
            found += _dictionaries(item, (*keys, name))
    return found


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _pickled_classes(path: Path) -> list[str]:
    """Names of the classes and functions that a pickle asks for, without running it."""
    data = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inner = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if not inner:
                return []
            data = archive.read(inner[0])
    names: list[str] = []
    texts: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "GLOBAL":
                names.append(str(argument).replace(" ", "."))
            elif "UNICODE" in opcode.name:
                texts.append(str(argument))
            elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                names.append(".".join(texts[-2:]))
    except ValueError:
        return names
    return names


def _require_fit(made: Any, weights: Weights, path: Path, model: str) -> None:
    own = {name: tuple(item.shape) for name, item in made.state_dict().items()}
    prefix = len(_PREFIX) if weights.prefixed else 0
    given = {name[prefix:]: shape for name, shape in weights.shapes.items()}
    wrong = [f"{name} is missing" for name in own if name not in given]
    wrong += [f"{name} is unknown to the class" for name in given if name not in own]
    wrong += [
        f"{name} is {list(given[name])}, and {list(own[name])} in the class"
        for name in own
        if name in given and own[name] != given[name]
    ]
    if wrong:
        rest = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UsageError(
            f"the weights of {path.name} do not fit {model}",
            why=f"{'; '.join(wrong[:3])}{rest}",
            fix="name the class that wrote them",
        )


def _described(weights: Weights) -> str:
    names = list(weights.shapes)
    first = names[0]
    count = sum(_size(shape) for shape in weights.shapes.values())
    return (
        f"{len(names)} tensors with {count:,} numbers, from {first} {list(weights.shapes[first])} "
        f"to {names[-1]} {list(weights.shapes[names[-1]])}."
    )


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for item in shape:
        size *= item
    return size


def _by_shape(weights: Weights) -> ExampleInput:
    """An example input that fits the first weight of rank two or more."""
    for name, shape in weights.shapes.items():
        if len(shape) == 2 and "embed" in name:
            return ExampleInput(
                "input", f"torch.randint(0, {shape[0]}, (1, 16))", {0: "batch", 1: "length"}
            )
        if 2 <= len(shape) <= 5:
            sizes = (1, shape[1], *{2: (), 3: (128,), 4: (224, 224), 5: (16, 64, 64)}[len(shape)])
            code = f"torch.randn({', '.join(map(str, sizes))})"
            return ExampleInput("input", code, {0: "batch"})
    return ExampleInput("input", "torch.randn(1, 3, 224, 224)", {0: "batch"})
