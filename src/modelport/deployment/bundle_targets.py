"""Targets added to a bundle: engines built from its graph, and compared with its cases."""

from __future__ import annotations

import dataclasses
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from modelport.backends import get_backend
from modelport.backends.base import GRAPH
from modelport.bundle.edit import StrPath, changed_bundle, commit_changed, stages_of
from modelport.bundle.manifest import Manifest
from modelport.bundle.reader import Bundle
from modelport.bundle.selftest import kept_references, verify_engine
from modelport.bundle.writer import BundleWriter, engine_key
from modelport.deployment.plan import Plan
from modelport.deployment.workspace import Workspace
from modelport.model import Model
from modelport.numerics import Bounds
from modelport.ops.elf_check import FOLDER, platform_name
from modelport.target import Target

_LOG = logging.getLogger("modelport.deployment")


def add_targets(
    bundle: StrPath,
    targets: Sequence[Target | str],
    output: StrPath | None = None,
    *,
    trust: bool = False,
) -> dict[Target, str]:
    """Builds engines for more targets from the bundle's graph, and compares them with its cases.

    An engine that is there, made from the same with the same version, stays.

    Args:
        bundle: The bundle.
        targets: What to build for.
        output: Where to write; in its place by default. What was signed is signed no more.
        trust: As for `modelport.load`.

    Returns:
        What became of each target: ``built``, ``built, not run: WHY`` or ``there already``.

    Raises:
        UsageError: There is no such backend, or the bundle has no reference cases.
        BundleError: The bundle is altered, or has code that is not known here.
        BuildError: A backend refuses the graph.
        ProofError: An engine does not compute what the original computed. Nothing is written.
    """
    parsed = list(dict.fromkeys(map(Target.parse, targets)))
    done: dict[Target, str] = {}
    with changed_bundle(bundle, output, trust) as (opened, writer):
        if opened.stages:
            each = {
                stage: add_targets(writer.folder / prefix, parsed, trust=own.is_trusted)
                for stage, (prefix, own) in zip(opened.stages, stages_of(opened), strict=True)
            }
            commit_changed(writer, _with_versions(opened.manifest, parsed), opened.manifest)
            return {
                target: "; ".join(f"{stage}: {done[target]}" for stage, done in each.items())
                for target in parsed
            }
        manifest = _with_versions(opened.manifest, parsed)
        for target in parsed:
            if manifest.keys.get(target) == engine_key(target, manifest):
                done[target] = "there already"
                _LOG.debug("%s: engine reused, its build key is the same", target)
            else:
                _LOG.debug("%s: engine built, no engine has its build key", target)
                manifest, done[target] = _add_target(opened, writer, manifest, target)
        if set(done.values()) != {"there already"} or output is not None:
            commit_changed(writer, manifest, opened.manifest)
    return done


def _with_versions(manifest: Manifest, targets: Sequence[Target]) -> Manifest:
    """The manifest with the versions that the backends of targets have here."""
    versions = dict(manifest.versions)
    versions |= {target.backend: get_backend(target).version() for target in targets}
    return dataclasses.replace(manifest, provenance={**manifest.provenance, "versions": versions})


def _add_target(
    opened: Bundle, writer: BundleWriter, manifest: Manifest, target: Target
) -> tuple[Manifest, str]:
    references, libraries = kept_references(opened), _libraries(opened)
    with tempfile.TemporaryDirectory(prefix=".modelport-", dir=writer.folder.parent) as name:
        workspace = _workspace(writer.folder, Path(name), libraries)
        build = workspace.build(Plan(target))
        engine = workspace.open(build)
        verification = verify_engine(engine, target, references, bounds=Bounds(**manifest.bounds))
        verification.require(f"the {'graph' if engine.substituted else 'engine'} for {target}")
        own = {*workspace.files([]), *libraries}
        made = [item for item in workspace.files([build.artifact]) if item not in own]
        writer.take(workspace.folder, made)
    added = dataclasses.replace(
        manifest,
        artifacts={**manifest.artifacts, target: build.artifact},
        keys={**manifest.keys, target: engine_key(target, manifest)},
        verification={**manifest.verification, str(target): verification.to_json()},
        findings=(*manifest.findings, *map(dataclasses.asdict, build.findings)),
    )
    why_not = engine.substituted
    return added, f"built, not run: {why_not}" if why_not else "built"


def _workspace(bundle: Path, folder: Path, libraries: Sequence[str]) -> Workspace:
    """A folder with a bundle's graph and libraries, in which an engine is built."""
    for name in (GRAPH, f"{GRAPH}.data", *libraries):
        if (bundle / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(bundle / name, folder / name)
    return Workspace(folder.absolute(), Model.load(folder / GRAPH), tuple(libraries))


def _libraries(opened: Bundle) -> list[str]:
    """The bundle's libraries of operators for this platform."""
    own = f"{FOLDER}/{platform_name()}/"
    libraries = [name for name in opened.manifest.files if name.startswith(own)]
    opened.require_known(libraries)
    return libraries
