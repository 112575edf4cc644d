"""Deployment: from a recipe to a verified bundle, an engine file or a graph.

The nouns are plain values: a `CaptureAttempt` (its graph, its reference model, facts) owns a
`Workspace`, a folder in which a `Plan` becomes a `Build` and a `Build` an engine; a `Verdict` says
whether the engines are right; a bundle is published from both. Names are loaded on first use:
building and opening need no PyTorch.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from modelport.deployment.bundle_targets import add_targets
    from modelport.deployment.deployer import Deployment, deploy
    from modelport.deployment.engine_file import Compilation, compile
    from modelport.deployment.exporter import diagnose, export
    from modelport.deployment.plan import Plan
    from modelport.deployment.verification import Verdict
    from modelport.deployment.workspace import Workspace, Workspaces

_HOMES = {
    "add_targets": "bundle_targets",
    "Compilation": "engine_file",
    "Deployment": "deployer",
    "Plan": "plan",
    "Verdict": "verification",
    "Workspace": "workspace",
    "Workspaces": "workspace",
    "compile": "engine_file",
    "deploy": "deployer",
    "diagnose": "exporter",
    "export": "exporter",
}

__all__ = [
    "Compilation",
    "Deployment",
    "Plan",
    "Verdict",
    "Workspace",
    "Workspaces",
    "add_targets",
    "compile",
    "deploy",
    "diagnose",
    "export",
]


def __getattr__(name: str) -> typing.Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'modelport.deployment' has no attribute {name!r}")
    return getattr(importlib.import_module(f"modelport.deployment.{home}"), name)
