"""The kind of a source, and the draft for it."""

from __future__ import annotations

from pathlib import Path

from modelport.errors import UsageError
from modelport.recipe import WEIGHTS
from modelport.recipe_draft.draft import Draft

_KINDS = (
    "give weights (x.pth, x.safetensors), package.module:Class, file.py:Class, x.onnx, x.pt2, or "
    "a folder of Hugging Face with a config.json"
)


def draft_recipe(
    source: str | Path, *, model: str | None = None, folder: Path | None = None
) -> Draft:
    """Drafts a recipe for a model.

    No code of a file of weights runs: it is read with ``weights_only=True``, and a pickled module
    is looked at without being run. A class is imported, called without arguments, and run once on
    an example that fits its first layer.

    Args:
        source: A file of weights, ``package.module:Class``, ``file.py:Class``, an ONNX file, a
            ``.pt2`` file, or a folder of Hugging Face.
        model: The class that weights belong to, as ``package.module:Class`` or ``file.py:Class``.
        folder: The folder that the recipe is written to; the current one by default.

    Returns:
        The draft.

    Raises:
        UsageError: The source does not exist, or is of no kind that is known.
    """
    folder = folder or Path()
    path = Path(source)
    if path.suffix in WEIGHTS:
        from modelport.recipe_draft.checkpoint import draft_checkpoint

        return draft_checkpoint(_existing(path), model, folder)
    if model is not None:
        raise UsageError(
            f"--model goes with a file of weights, and {source} is none",
            fix=f"leave it out: `modelport init {model}` drafts a recipe for the class",
        )
    if path.is_dir():
        from modelport.recipe_draft.hugging_face import draft_folder

        return draft_folder(path, folder)
    if path.suffix in (".onnx", ".pt2"):
        from modelport.recipe_draft.model_file import draft_file

        return draft_file(_existing(path), folder)
    if ":" in str(source):
        from modelport.recipe_draft.module_class import draft_class

        return draft_class(str(source), folder)
    if not path.exists():
        raise UsageError(f"no such file or folder: {source}", fix=_KINDS)
    raise UsageError(f"no recipe can be drafted for {source}", fix=_KINDS)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UsageError(f"no such file: {path}", fix=_KINDS)
    return path
