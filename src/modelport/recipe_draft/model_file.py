"""Drafts for model files: they hold the graph, and a recipe names them."""

from __future__ import annotations

from pathlib import Path

from modelport.recipe_draft.draft import Draft, path_code


def draft_file(path: Path, folder: Path) -> Draft:
    """Drafts a recipe for an ONNX file or a program of ``torch.export.save``.

    Args:
        path: The file.
        folder: The folder that the recipe is written to.

    Raises:
        UsageError: An ONNX file cannot be read.
    """
    notes: list[str] = []
    if path.suffix == ".onnx":
        from modelport.model import Model

        signature = Model.load(path).signature
        notes = [f"input {spec}" for spec in signature.inputs]
        notes += [f"output {spec}" for spec in signature.outputs]
    else:
        notes = ["The program holds its own example inputs; `args=` replaces them."]
    return Draft(
        path.name, ["from pathlib import Path"], [f"model = {path_code(path, folder)}"], notes=notes
    )
