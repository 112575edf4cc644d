"""Publication: a bundle holds the files that are listed here, and no others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.bundle import BundleWriter, Manifest
from modelport.bundle.environment import this_machine
from modelport.deployment.build import Build
from modelport.deployment.verification import Verdict
from modelport.deployment.workspace import Workspace
from modelport.model import Model
from modelport.numerics import Bounds, Verification
from modelport.target import Target


def publish(
    workspace: Workspace,
    model: Model,
    verdict: Verdict,
    builds: Sequence[Build],
    report: str,
    output: Path,
    *,
    zipped: bool = False,
) -> None:
    """Writes the bundle of a verified attempt.

    Args:
        workspace: The attempt's folder; the files of the bundle are moved out of it.
        model: The graph, with its findings and provenance.
        verdict: The verification.
        builds: What was built.
        report: The report, as HTML.
        output: The bundle to write.
        zipped: Write one zip file instead of a directory.

    Raises:
        UsageError: It cannot be written.
    """
    recipe = verdict.attempt.recipe
    artifacts = {build.target: build.artifact for build in builds}
    with BundleWriter(output, zipped=zipped) as writer:
        writer.take(workspace.folder, workspace.files(list(artifacts.values())))
        writer.take(workspace.folder, workspace.add_sources())
        (writer.folder / "report.html").write_text(report, encoding="utf-8")
        writer.commit(
            Manifest(
                name=recipe.title,
                signature=model.signature,
                artifacts=artifacts,
                cases=writer.add_cases(verdict.references.cases),
                verification=verifications_to_json(verdict.verifications),
                findings=tuple(dataclasses.asdict(item) for item in model.findings),
                provenance={**model.provenance, "machine": this_machine()},
                result=recipe.result and recipe.result.to_json(),
                bounds=Bounds(recipe.rtol, recipe.atol).to_json(),
            )
        )


def verifications_to_json(verifications: Mapping[Target, Verification]) -> dict[str, Any]:
    """Comparisons by target, as plain dicts and lists."""
    return {str(target): item.to_json() for target, item in verifications.items()}
