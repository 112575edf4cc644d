"""Folder of a failed deployment: a right graph that an engine computes wrongly."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from modelport.deployment.build import Build
from modelport.deployment.verification import Verdict
from modelport.deployment.workspace import Workspace
from modelport.errors import ProofError
from modelport.model import Model
from modelport.numerics import write_case
from modelport.precision import EIGHT_BITS

SUFFIX = ".failed"
"""Suffix of the folder beside the bundle path."""


def failure_folder(output: Path) -> Path:
    """The folder of a failed deployment."""
    return output.with_name(f"{output.name}{SUFFIX}")


def keep_failure(
    workspace: Workspace, verdict: Verdict, builds: Sequence[Build], report: str, folder: Path
) -> ProofError:
    """Writes the graphs, the failing case and a report of an engine that computes wrongly.

    Args:
        workspace: The attempt's folder.
        verdict: What says that the engine is wrong, and the graph is not.
        builds: What the engines were opened from.
        report: The report, as HTML.
        folder: Where to keep them; files of the same names are replaced.

    Returns:
        The error, which names the command that looks for the node.
    """
    error = verdict.wrong_engine()
    build = next(item for item in builds if item.target == verdict.wrong[0])
    failed = verdict.verifications[build.target].failed[0]
    cases = (*verdict.references.cases, *verdict.held_out)
    (reference,) = (item for item in cases if item.case.name == failed.case)
    folder.mkdir(exist_ok=True)
    case = write_case(folder / "case.npz", reference.case.inputs, reference.outputs)
    graph = Model.load(workspace.graph).save(folder / "model.onnx")
    words = ["modelport", "bisect", str(graph)]
    if build.plan.rewrites or build.plan.model or build.target.precision in EIGHT_BITS:
        # The options that made this graph are not those of a command: it is compared as it is.
        own = workspace.folder / build.artifact.graph
        words.append(str(Model.load(own).save(folder / "candidate.onnx")))
    words += ["--cases", str(case), "--target", str(build.target)]
    (folder / "report.html").write_text(report, encoding="utf-8")
    error.why = "\n    ".join(
        [
            str(error.why),
            f"the capture by {verdict.attempt.facts.strategy} is right: its graph agrees in fp32 "
            "on ONNX Runtime, so that no other was tried",
            f"the case, the graph and a report are kept in {folder}",
        ]
    )
    error.fix = f"`{shlex.join(words)}` finds the node"
    return error
