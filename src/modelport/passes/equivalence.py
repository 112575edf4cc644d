"""Does a rewritten model compute what it computed before?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from modelport.backends import REFERENCE_RUNTIME, open_engine
from modelport.backends.base import Artifact
from modelport.errors import BuildError, ProofError, UsageError
from modelport.ir.integer_ranges import accepted_integers
from modelport.ir.random_operators import draws
from modelport.model import Model
from modelport.numerics import Verification, draw_cases, run_reference, verify_cases
from modelport.numerics.verification import Runner

CASES = 3

_UNCHECKED = "`check=False` (--no-check) leaves the check out"


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
            reference,
            draw_cases(signature, {}, accepted_integers(rewritten.ir), seed),
            count=CASES,
            least=1,
        )
        candidate = _opened(run, rewritten.save(folder / "rewritten.onnx"))
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


def check_runs(model: Model, seed: int, run: Callable[[Path], Runner] | None = None) -> None:
    """Runs a changed model on a drawn case: sizes that do not fit each other show there.

    Args:
        model: The changed model.
        seed: Seed of the case.
        run: Opens a file for running; ONNX Runtime on the CPU by default.

    Raises:
        UsageError: An input has no known rank.
        ProofError: The runtime does not take the model, or refuses every case.
    """
    with tempfile.TemporaryDirectory() as name:
        runner = _opened(run or _open, model.save(Path(name) / "changed.onnx"))
        try:
            drawn = draw_cases(model.signature, {}, accepted_integers(model.ir), seed)
            run_reference(runner, drawn, count=1, least=1)
        except ProofError as error:
            raise ProofError(
                "the changed model does not run", why=error.why or error.what, fix=_UNCHECKED
            ) from error


def _opened(run: Callable[[Path], Runner], path: Path) -> Runner:
    try:
        return run(path)
    except BuildError as error:
        raise ProofError(
            "the runtime does not take the changed model", why=error.why, fix=_UNCHECKED
        ) from error


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
