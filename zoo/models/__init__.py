"""The zoo's models, one file for each family; each has ``entries()``."""

from __future__ import annotations

import importlib

from zoo.entry import Entry

FAMILIES = (
    *("torchvision", "timm", "transformers", "segmentation", "superresolution", "diffusion"),
    *("audio", "graphs", "plain"),
)


def all_entries() -> list[Entry]:
    """Every model, in the order of the families.

    Raises:
        ValueError: Two models have one name.
    """
    found = [
        entry
        for family in FAMILIES
        for entry in importlib.import_module(f"zoo.models.{family}").entries()
    ]
    names = [entry.name for entry in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two models are called {', '.join(sorted(twice))}")
    return found
