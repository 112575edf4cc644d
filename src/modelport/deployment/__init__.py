"""Deployment: from a recipe to a verified bundle, an engine file or a graph.

The nouns are plain values: a `CaptureAttempt` (its graph, its reference model, facts) owns a
`Workspace`, a folder in which a `Plan` becomes a `Build` and a `Build` an engine; a `Verdict` says
whether the engines are right; a bundle is published from both. Names are loaded on first use:
building and opening need no PyTorch.
"""

from __future__ import annotations

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.deployment.bundle_targets import add_targets
    from modelport.deployment.deployer import Deployment, deploy
    from modelport.deployment.engine_file import Compilation, compile
    from modelport.deployment.exporter import diagnose, export
    from modelport.deployment.plan import Plan
    from modelport.deployment.verification import Verdict
    from modelport.deployment.workspace import Workspace, Workspaces
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "bundle_targets": ("add_targets",),
            "deployer": ("Deployment", "deploy"),
            "engine_file": ("Compilation", "compile"),
            "exporter": ("diagnose", "export"),
            "plan": ("Plan",),
            "verification": ("Verdict",),
            "workspace": ("Workspace", "Workspaces"),
        },
    )

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
