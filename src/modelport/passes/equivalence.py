"""Does a rewritten model compute what it computed before?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from modelport.backends import REFERENCE_RUNTIME, open_engine
from modelport.backends.base import Artifact
from modelport.errors import ProofError, UsageError
from modelport.ir.random_operators import draws
from modelport.model import Model
from modelport.numerics import Verification, draw_cases, run_reference, verify_cases
from modelport.numerics.verification import Runner

CASES = 3


def check_agreement(
    original: Model | Path, rewritten: Model, seed: int, run: Callable[[Path], Runner] | None
) -> Verification:
    """Runs both models on drawn cases and compares.

    Args:
        original: The model as it was; its file where it still lies on disk.
        rewritten: The model to prove.
        seed: Seed of the cases.
        run: Opens a file for running; ONNX Runtime on the CPU by default.

    Returns:
        The comparison, which agrees.

    Raises:
        UsageError: The model draws random numbers, or an input has no known rank.
        BuildError: The runtime does not take the original.
        ProofError: The models differ, or the runtime no longer takes the model.
    """
    _require_determined(rewritten)
    run = run or _open
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if isinstance(original, Model):
            original = original.save(folder / "original.onnx")
        reference = run(original)
        signature = rewritten.signature
        references, refused = run_reference(
            reference, draw_cases(signature, {}, seed=seed), count=CASES, least=1
        )
        candidate = run(rewritten.save(folder / "rewritten.onnx"))
        verification = verify_cases(references, candidate, refused=refused)
    failed = [case for case in verification.cases if not case.ok]
    if failed:
        raise ProofError(
            "the rewritten model does not compute what it computed before",
            where="\n    ".join(map(str, failed)),
            why=f"{len(failed)} of {len(verification.cases)} drawn cases differ",
            fix="inputs that overflow are no proof: look at the values first; `check=False` "
            "(--no-check) skips the comparison",
        )
    return verification


def _require_determined(model: Model) -> None:
    drawn = [node for node in model.ir.graph.all_nodes() if draws(node)]
    if drawn:
        raise UsageError(
            "the model draws random numbers, so that two runs cannot be compared",
            where=f"node {drawn[0].name!r} ({drawn[0].op_type})",
            fix="simplify with check=False (--no-check), and compare by other means",
        )


def _open(path: Path) -> Runner:
    return open_engine(path.parent, Artifact(path.name), REFERENCE_RUNTIME).run
