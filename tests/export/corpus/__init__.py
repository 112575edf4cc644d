"""Small models, each with a known truth about its export.

Each theme is a module; importing this package registers their entries in `ENTRIES`. The table of
all entries is printed by ``python -m tests.export.corpus``.
"""

from tests.export.corpus import (  # noqa: F401 - importing them registers their entries
    control_flow,
    dynamic,
    hygiene,
    inputs,
    right,
    shapes,
    symbolics,
    values,
)
from tests.export.corpus.entry import ENTRIES

__all__ = ["ENTRIES"]
