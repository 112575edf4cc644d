"""The backend: it builds and opens engines, and says what else modelport needs to know."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from modelport import BuildError, Finding, Model, Target, UsageError
from modelport.backends import Backend, Capabilities, Engine, Probe
from modelport.backends.base import Artifact
from modelport.graph.lint_report import Rule
from modelport.progress import Progress
from modelport.signature import Signature
from sample_backend.engine import SampleEngine
from sample_backend.lint import RULES
from sample_backend.rewrites import replace_softplus

VERSION = "1.2.0"


@dataclass(frozen=True)
class Options:
    """Options of the backend.

    Attributes:
        execution: ``sequential`` or ``parallel``.
        threads: Number of threads; 0 for one per core.
    """

    execution: str = "sequential"
    threads: int = 0

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Options:
        """Checks options of a build or of an artifact.

        Raises:
            UsageError: An option is unknown, or its value is.
        """
        unknown = sorted(set(options) - set(cls.__dataclass_fields__))
        if unknown:
            raise UsageError(
                f"the sample backend has no option {', '.join(unknown)}",
                fix=f"its options are: {', '.join(cls.__dataclass_fields__)}",
            )
        read = cls(**options)
        if read.execution not in ("sequential", "parallel"):
            raise UsageError(
                f"execution cannot be {read.execution!r}", fix="sequential or parallel"
            )
        return read


class SampleBackend(Backend):
    """Wraps ONNX Runtime, and refuses Softplus as a runtime without that operator does."""

    CAPABILITIES = Capabilities(
        devices=("cpu",),
        precisions={"fp32": "graph", "int8": "graph"},
        dtypes=("float32", "int64", "uint8"),
        dynamic_shapes="any",
        custom_operators=("bodies",),
        threads=True,
        tunable={"execution": ("sequential", "parallel")},
    )

    def probe(self) -> Probe:
        return Probe("sample", True, VERSION, f"ONNX Runtime {onnxruntime.__version__}")

    def version(self) -> str:
        return VERSION

    def requirements(self, target: Target) -> tuple[str, ...]:
        return ("sample-backend", "onnxruntime")

    def legalize(
        self, model: Model, target: Target, plugins: Collection[str] = ()
    ) -> list[Finding]:
        return replace_softplus(model)

    def lint_rules(self) -> Sequence[Rule]:
        return RULES

    def quantization_scheme(self, target: Target) -> str:
        return "mixed"

    def compile(
        self,
        folder: Path,
        graph: str,
        target: Target,
        libraries: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Artifact:
        Options.read(options or {})
        refused = [
            node for node in onnx.load(folder / graph).graph.node if node.op_type == "Softplus"
        ]
        if refused:
            raise BuildError("the sample backend has no Softplus", where=refused[0].name)
        return Artifact(graph, options=dict(options or {}))

    def load(
        self, folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None
    ) -> Engine:
        path = folder / artifact.graph
        options = Options.read(artifact.options)
        return SampleEngine(
            path,
            signature or Model.load(path).signature,
            target,
            parallel=options.execution == "parallel",
            threads=options.threads,
        )
