"""Recipes: the user's declaration of a model to deploy, and the sources that name one."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from modelport import source_location
from modelport.errors import ModelportError, UsageError
from modelport.extras import install_command

if TYPE_CHECKING:
    import numpy as np

ValueRule: TypeAlias = (
    "tuple[float, float] | Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]"
)
"""Distribution of an input's values: uniform in a closed range, or a function of a random
generator and a shape."""

CAPTURES = ("auto", "dynamo", "trace", "script")
WEIGHTS = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")
"""Suffixes of files that hold weights, a pickled module or a TorchScript program."""


@dataclass(frozen=True)
class Recipe:
    """A model to deploy, with example inputs and options.

    Attributes:
        model: A ``torch.nn.Module``, a ``torch.export.ExportedProgram``, or the path of a
            ``.onnx`` or ``.pt2`` file.
        args: Example inputs, positional. They are run once to capture the model and give the
            inputs' dtypes, ranks, and the values from which others are drawn.
        kwargs: Example inputs, by keyword.
        input_names: Names of the graph's inputs, in the order of the example's tensors.
        output_names: Names of the graph's outputs.
        dynamic: Dynamic dimensions: ``{input: {axis: name or Dim}}`` or ``{input: [axis, ...]}``.
        dynamic_axes: The same, under its name in ``torch.onnx.export``.
        dynamic_shapes: The form of ``torch.export.export``: a pytree of ``torch.export.Dim``.
        opset: Opset of the default domain; None for the lowest from 18 up that suffices.
        capture: ``auto``, ``dynamo``, ``trace`` or ``script``.
        export_params: Whether weights go into the graph; else they are inputs.
        custom_translation_table: Translations of operators, as ``torch.onnx.export`` takes them.
        values: How to draw values of an input, by its name; by default they are drawn from the
            distribution of the example's values.
        cases: Further positional inputs that the deployed model must be verified on.
        name: The model's name; the class's by default.
        preprocess: Steps before the model: those of `modelport.pipeline.steps`, or functions of
            the picture in PyTorch. With them, the first example input is a picture.
        postprocess: Steps after the model, likewise; functions get the model's outputs. With
            them, ``output_names`` are the names by which steps read the outputs.
        result: Meaning of the outputs, for people: a `modelport.pipeline.Result`.
        rtol: Bound on the error of an output as a whole, relative to its scale, in place of the
            usual one of its dtype; one number for all float outputs, or by output name. An element
            may be ten times worse.
        atol: An error that is allowed besides, in the output's own unit; likewise.
    """

    model: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    input_names: Sequence[str] | None = None
    output_names: Sequence[str] | None = None
    dynamic: Mapping[str, Any] | None = None
    dynamic_axes: Mapping[str, Any] | None = None
    dynamic_shapes: Any = None
    opset: int | None = None
    capture: str = "auto"
    export_params: bool = True
    custom_translation_table: Mapping[Any, Any] = field(default_factory=dict)
    values: Mapping[str, ValueRule] = field(default_factory=dict)
    cases: Sequence[tuple[Any, ...]] = ()
    name: str | None = None
    preprocess: Sequence[Any] = ()
    postprocess: Sequence[Any] = ()
    result: Any = None
    rtol: float | Mapping[str, float] | None = None
    atol: float | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.args, tuple | list):
            # A single tensor is the only positional argument.
            object.__setattr__(self, "args", (self.args,))
        if self.capture not in CAPTURES:
            raise UsageError(
                f"unknown capture {self.capture!r}", fix=f"one of: {', '.join(CAPTURES)}"
            )
        forms = ("dynamic", "dynamic_axes", "dynamic_shapes")
        used = [form for form in forms if getattr(self, form) is not None]
        if len(used) > 1:
            raise UsageError(
                f"{' and '.join(used)} are given together", fix="keep one; they say the same thing"
            )

    def with_options(self, **options: Any) -> Recipe:
        """The recipe with fields replaced, except by None."""
        changes = {name: value for name, value in options.items() if value is not None}
        return dataclasses.replace(self, **changes)

    @property
    def title(self) -> str:
        """The model's name, for people."""
        if self.name:
            return self.name
        if isinstance(self.model, str | Path):
            return Path(self.model).stem
        return type(self.model).__name__


def load_recipe(source: str | Path) -> Recipe:
    """Reads the recipe that a source names.

    Args:
        source: ``file.py[:factory]``, ``package.module:factory`` (the factory is ``recipe`` where
            it is left out), or a ``.onnx`` or ``.pt2`` file.

    Returns:
        The recipe; of a model file, one that has only the model.

    Raises:
        UsageError: The source does not exist, has no such factory, or the factory failed.
    """
    text = str(source)
    if Path(text).suffix in (".onnx", ".pt2"):
        if not Path(text).is_file():
            raise UsageError(f"no such file: {text}")
        return Recipe(model=Path(text))
    _require_recipe(Path(text))
    with _opened(text, "recipe") as (module, factory):
        return _call_factory(module, factory, text)


def _require_recipe(path: Path) -> None:
    """Refuses weights and folders of Hugging Face, for which a recipe can be drafted."""
    if path.suffix in WEIGHTS:
        what = f"{path} is a file of weights: it does not say how to compute"
    elif (path / "config.json").is_file():
        what = f"{path} is a folder of Hugging Face, not a recipe"
    else:
        return
    if not path.exists():
        raise UsageError(f"no such file: {path}")
    raise UsageError(what, fix=f"`{shlex.join(['modelport', 'init', str(path)])}` drafts a recipe")


def load_function(source: str, default: str = "") -> Callable[..., Any]:
    """The function that a source names, ``file.py:function`` or ``package.module:function``.

    Args:
        source: The source.
        default: The function's name where it is left out.

    Raises:
        UsageError: The source does not exist or has no such function.
    """
    with _opened(source, default) as (module, name):
        function = getattr(module, name, None) if name else None
        if not callable(function):
            raise UsageError(
                f"{source} names no function" + (f": it has no {name}" if name else ""),
                fix="write file.py:function, with a name that it has",
            )
        return function  # type: ignore[no-any-return]


@contextmanager
def _opened(source: str, default: str) -> Iterator[tuple[ModuleType, str]]:
    """The module that a source names, and the name of a function in it."""
    module, _, name = source.rpartition(":") if ":" in source else (source, "", "")
    name = name or default
    if not module.endswith(".py"):
        yield _load_module(module, source), name
        return
    path = Path(module)
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    path = path.resolve()
    with _importing_beside(path):
        yield _load_file(path), name


def _call_factory(module: ModuleType, factory: str, source: str) -> Recipe:
    function = getattr(module, factory, None)
    if not callable(function):
        raise UsageError(
            f"{source} has no function {factory}()",
            fix="define `def recipe() -> modelport.Recipe`, or name another with SOURCE:factory",
        )
    try:
        recipe = function()
    except ModelportError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise UsageError(
            f"{factory}() in {source} raised {type(error).__name__}: {error}",
            where=source_location.of_error(error) or None,
            fix=_what_to_install(error),
        ) from error
    if not isinstance(recipe, Recipe):
        raise UsageError(
            f"{factory}() in {source} returned a {type(recipe).__name__}, not a modelport.Recipe",
            fix=f"`modelport init {shlex.quote(source)}` drafts a recipe; a class that needs no "
            "more is deployed with --input-shapes NAME=SIZES",
        )
    return recipe


def _load_module(name: str, source: str) -> ModuleType:
    if not name.replace(".", "").replace("_", "").isalnum():
        raise UsageError(
            f"cannot read the source {source!r}",
            fix="give file.py[:factory], package.module:factory, a .onnx or a .pt2 file",
        )
    try:
        return importlib.import_module(name)
    except Exception as error:  # importing runs the user's code
        raise UsageError(
            f"cannot import {name!r}: {type(error).__name__}: {error}",
            where=source_location.of_error(error) or None,
            fix=_what_to_install(error)
            or "give file.py[:factory], package.module:factory, a .onnx or a .pt2 file",
        ) from error


_neighbours: dict[str, set[str]] = {}
"""Names of the modules that a recipe imported from its own folder, by folder."""


def _load_file(path: Path) -> ModuleType:
    try:
        return run_file(path)
    except ModelportError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise UsageError(
            f"cannot load {path}: {type(error).__name__}: {error}",
            where=source_location.of_error(error) or None,
            fix=_what_to_install(error),
        ) from error


def run_file(path: Path) -> ModuleType:
    """Runs a Python file as a new module; its exceptions are passed on.

    Args:
        path: The file, resolved.
    """
    name = f"modelport_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importing_beside(path: Path) -> Iterator[None]:
    """Context in which a recipe can import modules of its own folder, as a script does."""
    folder = str(path.parent)
    _forget_neighbours(except_folder=folder)
    before = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
        new = {name: module for name, module in sys.modules.items() if name not in before}
        _neighbours.setdefault(folder, set()).update(
            name for name, module in new.items() if _lies_beside(path, module)
        )


def _lies_beside(recipe: Path, module: ModuleType) -> bool:
    file = Path(getattr(module, "__file__", None) or "/")
    return (
        file != recipe
        and file.is_relative_to(recipe.parent)
        and "site-packages" not in file.parts
        and module.__name__.partition(".")[0] != "modelport"
    )


def _forget_neighbours(except_folder: str) -> None:
    """Removes modules of other recipes' folders: two recipes may each have a ``model.py``."""
    for folder in [folder for folder in _neighbours if folder != except_folder]:
        for name in _neighbours.pop(folder):
            sys.modules.pop(name, None)


def _what_to_install(error: Exception) -> str | None:
    package = error.name if isinstance(error, ModuleNotFoundError) else None
    needed = package in ("torch", "onnx", "onnx_ir", "onnxscript")
    return install_command("export") if needed else None
