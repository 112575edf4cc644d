"""One way into every precision."""

from __future__ import annotations

from modelport.errors import UsageError
from modelport.model import Model


def convert(model: Model, precision: str) -> Model:
    """Rewrites a graph so that it computes in a precision.

    Args:
        model: The model; it stays as it is.
        precision: A precision of `modelport.target.PRECISIONS`.

    Returns:
        The model itself where it computes so already, else a rewritten copy.

    Raises:
        UsageError: There is no rewrite into this precision.
    """
    if precision in ("fp32", "tf32"):
        return model
    raise UsageError(f"there is no rewrite into {precision} yet", fix="deploy in fp32")
