"""The class of backends, and the values that they exchange with the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.arrays import Array, Arrays
from modelport.errors import BuildError, RunError, UsageError
from modelport.files.trusted_code import CodeSource, user_code
from modelport.findings import Finding
from modelport.progress import Progress
from modelport.signature import InputGuard, Signature
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.graph.lint_report import Rule
    from modelport.model import Model

GRAPH = "graphs/model.onnx"
"""Where the captured graph lies in a folder; those made from it for a target lie beside it."""


def program_of(graph: str) -> str:
    """The path of the exported program that lies beside a graph."""
    return str(Path(graph).with_suffix(".pt2"))


def refuse_unknown_options(backend: str, options: Iterable[str], known: Iterable[str]) -> None:
    """Checks the names of options.

    Args:
        backend: The name of the backend.
        options: The names that are set.
        known: The names that the backend has.

    Raises:
        UsageError: The backend has no option of a name.
    """
    names = list(known)
    unknown = [name for name in options if name not in names]
    if unknown:
        raise UsageError(
            f"the {backend} backend has no option {', '.join(unknown)}",
            fix=f"its options are: {', '.join(names)}",
        )


@dataclass(frozen=True)
class Probe:
    """Whether a backend works on this machine.

    Attributes:
        name: The backend or tool.
        works: Whether it can be used, seen by using it.
        version: Its version, where it is installed.
        detail: What it offers here, or why it does not work.
        remedy: The command that would make it work, where it does not.
    """

    name: str
    works: bool
    version: str = ""
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What a backend takes; the documentation and `modelport doctor` print it from here.

    Attributes:
        devices: Tokens of the devices that it runs on.
        precisions: How each precision that it offers comes about: ``graph`` (the graph is rewritten
            before it is compiled) or ``runtime`` (the backend converts what it computes with).
        dtypes: NumPy's names of the element types that inputs and outputs may have.
        dynamic_shapes: What it needs to know of dynamic dimensions: ``any`` size at run time,
            ``ranges`` that are declared, or ``none`` (sizes are fixed when it compiles).
        custom_operators: In which forms it takes operators that ONNX lacks: ``kernels``,
            ``plugins``, ``bodies`` (functions of standard operators).
        threads: Whether the number of threads can be chosen.
        providers: Providers that a target may name.
        tunable: Values that options are worth trying with, by name; the default comes first.
    """

    devices: tuple[str, ...]
    precisions: Mapping[str, str]
    dtypes: tuple[str, ...]
    dynamic_shapes: str
    custom_operators: tuple[str, ...]
    threads: bool
    providers: tuple[str, ...] = ()
    tunable: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


class Binding(ABC):
    """A call whose input and output buffers are fixed in advance and reused by every run.

    Attributes:
        inputs: The arrays that a run reads, by name; write new values into them.
        outputs: The arrays that a run overwrites, by name.
    """

    inputs: Arrays
    outputs: Arrays

    @abstractmethod
    def run(self) -> Arrays:
        """Runs on what `inputs` hold now.

        Returns:
            `outputs`, overwritten.
        """


class Engine(ABC):
    """A model, ready to run on one target.

    Attributes:
        signature: What it takes and gives.
        target: What it runs on.
        task: What calling the engine does: takes the engine and what it is called with. None
            where the model does not say what its answers mean.
        substituted: Why the reference runtime runs the engine's graph in its place; empty where
            the engine itself runs.
    """

    task: Callable[..., Any] | None = None
    substituted: str = ""

    def __init__(self, signature: Signature, target: Target) -> None:
        self.signature = signature
        self.target = target
        self._guard = InputGuard(signature)
        self._output_names = [spec.name for spec in signature.outputs]

    @abstractmethod
    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> Arrays:
        """Runs the model once.

        Args:
            inputs: Arrays by input name; dtype, rank, fixed dimensions and declared ranges must
                be those of `signature`.
            outputs: Names of the outputs wanted; all by default.

        Returns:
            Fresh arrays by output name.

        Raises:
            RunError: The inputs are not what the model takes, or the backend failed.
        """

    @abstractmethod
    def bind(self, inputs: Mapping[str, Array], outputs: Arrays | None = None) -> Binding:
        """Fixes the buffers of a call that is to be run many times at the same shapes.

        Args:
            inputs: C-contiguous arrays by input name; every run reads them anew.
            outputs: C-contiguous arrays that every run overwrites, by output name; by default
                they are allocated with the shapes that one run gives.

        Returns:
            The bound call.

        Raises:
            RunError: The inputs are not what the model takes, or an array is not contiguous.
        """

    def __call__(self, *inputs: Any, **others: Any) -> Any:
        """Runs the model on what people have, such as a picture's path, and says what came out.

        Raises:
            UsageError: The model does not say what its answers mean.
        """
        if self.task is None:
            raise UsageError(
                "the model does not say what its answers mean",
                fix="run it on arrays: engine.run({name: array}); or deploy a recipe with a result",
            )
        return self.task(self, *inputs, **others)

    def run_shared(self, inputs: Mapping[str, Array]) -> Arrays:
        """Runs on those of the inputs that the model has.

        An input of the original model that capturing lost is left out here: it must show in the
        values, not as an unknown name.
        """
        return self.run(
            {spec.name: inputs[spec.name] for spec in self.signature.inputs if spec.name in inputs}
        )

    def _requested(self, outputs: Sequence[str] | None) -> list[str]:
        if outputs is None:
            return self._output_names
        unknown = [name for name in outputs if name not in self._output_names]
        if unknown:
            raise RunError(
                f"the model has no output {', '.join(map(repr, unknown))}",
                fix=f"it gives {', '.join(self._output_names)}",
            )
        return list(outputs)


@dataclass(frozen=True)
class Artifact:
    """What compiling gave, as files inside a folder.

    Attributes:
        graph: The graph that the engine was made from, relative to the folder.
        files: Further files that the engine needs, relative to the folder.
        options: What the backend needs to know to load them.
        findings: What the backend noticed while it compiled; a bundle keeps them with the model's.
        code: Opens those of the files that are loaded as code (libraries, engines, programs). By
            default they are the user's own; a bundle's are opened where they are trusted.
    """

    graph: str
    files: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    code: CodeSource = field(default=user_code, compare=False, repr=False)


class Backend(ABC):
    """A runtime that builds and runs models. What it does not need has a default.

    Attributes:
        CAPABILITIES: What it supports.
        engine_suffix: Suffix of the engine's file, if `compile` writes one: `modelport.compile`
            publishes it, and `open_file` opens it.
        fp32_fallback: Devices on which nodes without a kernel of the target's precision compute in
            float32.
        runs_program: Whether it runs the exported program of PyTorch, which lies beside the
            graph: rewrites of the graph do not change it.
    """

    CAPABILITIES: Capabilities
    engine_suffix: str = ""
    fp32_fallback: tuple[str, ...] = ()
    runs_program: bool = False

    @abstractmethod
    def probe(self) -> Probe:
        """Says whether the backend works here."""

    @abstractmethod
    def version(self) -> str:
        """The version of what runs the engines, for the manifest."""

    def why_not_run(self, target: Target) -> str:
        """Why engines of a target can be built but not run on this machine; empty if they run."""
        return ""

    def requirements(self, target: Target) -> tuple[str, ...]:
        """The packages that run engines of a target, as lines for pip.

        Args:
            target: The target.

        Returns:
            The packages; the first has the version that `version` returns. None where they are
            not known.
        """
        return ()

    def legalize(
        self, model: Model, target: Target, plugins: Collection[str] = ()
    ) -> list[Finding]:
        """Rewrite a graph so that the backend accepts it.

        Args:
            model: The model; changed in place.
            target: What is to run it.
            plugins: Operators, ``domain::name``, that are plugins of the backend.

        Returns:
            A finding for each change; none where the graph is as it was.

        Raises:
            PassError: The backend does not accept the graph, and no rewrite is known.
        """
        return []

    def plugin_operators(self, options: Mapping[str, object]) -> set[str]:
        """Operators, ``domain::name``, that `legalize` leaves to plugins.

        Args:
            options: The options of the build.
        """
        return set()

    @property
    def legalizes(self) -> bool:
        """Whether the backend has rewrites of its own."""
        return type(self).legalize is not Backend.legalize

    def lacks_kernel(self, error: BuildError) -> bool:
        """Return True if an engine did not open because an operator has no kernel."""
        return False

    def lint_rules(self) -> Sequence[Rule]:
        """The rules of `modelport.graph.lint`; they must not need the backend's packages."""
        return ()

    def quantization_scheme(self, target: Target) -> str:
        """The scheme of Q/DQ for a target: one of `modelport.precision.FORMS`."""
        return "unsigned" if target.device == "cpu" else "symmetric"

    def tunables(self, target: Target) -> Mapping[str, tuple[object, ...]]:
        """Values that options of a target are worth trying with; the default is the first."""
        return self.CAPABILITIES.tunable

    @abstractmethod
    def compile(
        self,
        folder: Path,
        graph: str,
        target: Target,
        libraries: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Artifact:
        """Makes an engine from a graph.

        Args:
            folder: Where the graph lies, and where files are written.
            graph: Path of the ONNX file inside the folder.
            target: What to build for.
            libraries: Libraries of operators that the graph uses, relative to the folder.
            options: What the backend can be told about building and running, by name.
            progress: Told of the steps of a build that takes long.

        Returns:
            The files made, and the libraries that the engine needs.

        Raises:
            BuildError: The backend refuses the graph. Where the engine is the graph itself, loading
                it says so.
            UsageError: The backend does not offer what the target asks for.
        """

    @abstractmethod
    def load(
        self, folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None
    ) -> Engine:
        """Opens what `compile` made.

        Args:
            folder: The folder that the artifact's paths are relative to.
            artifact: What to open.
            target: What to run on.
            signature: What the model takes and gives; read from the graph by default.

        Returns:
            The engine.

        Raises:
            BuildError: The backend cannot open it.
        """

    def open_file(
        self, path: Path, target: Target | str | None, options: Mapping[str, Any], *, trust: bool
    ) -> Engine:
        """Opens an engine's file; only backends with an `engine_suffix` have one.

        Args:
            path: The file.
            target: What it is for; by default what it was built for.
            options: As for `load`.
            trust: Whether it may be opened though this user did not build it on this machine.

        Returns:
            The engine.

        Raises:
            UsageError: There is no such file, or the target is another one.
            BundleError: It is not known here.
            BuildError: The backend does not accept it.
        """
        raise UsageError(f"{type(self).__name__} does not open {path}")
