"""The two libraries behind one code: TensorRT, and TensorRT for RTX."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from modelport.errors import UsageError
from modelport.extras import install_command
from modelport.target import Target


@dataclass(frozen=True)
class Flavor:
    """One of the libraries.

    Attributes:
        backend: Name of the backend.
        title: What people call it.
        module: Name of its Python module.
        oldest: The oldest version that is served.
        ahead: Whether it builds for compute capabilities that are named, without a GPU.
        compatible: Whether its engines can be made to run with other versions, and on other GPUs
            than the one that they were built on.
        plugins: Whether it takes operators as plugins.
    """

    backend: str
    title: str
    module: str
    oldest: tuple[int, int]
    ahead: bool
    compatible: bool
    plugins: bool

    @property
    def install(self) -> str:
        """The command that installs it."""
        return install_command(self.backend)

    def open(self) -> ModuleType:
        """The Python module.

        Raises:
            UsageError: It is not installed, cannot be loaded, or is too old.
        """
        try:
            module = importlib.import_module(self.module)
        except (ImportError, OSError, RuntimeError) as error:
            raise UsageError(
                f"{self.title} is not usable here",
                why=" ".join(f"{type(error).__name__}: {error}".split()),
                fix=self.install,
            ) from error
        version = str(getattr(module, "__version__", "0"))
        if tuple(map(int, version.split(".")[:2])) < self.oldest:
            raise UsageError(
                f"{self.title} {version} is too old",
                why=f"networks are strongly typed from {'.'.join(map(str, self.oldest))} on",
                fix=self.install,
            )
        return module


TENSORRT = Flavor(
    backend="tensorrt",
    title="TensorRT",
    module="tensorrt",
    oldest=(10, 12),
    ahead=False,
    compatible=True,
    plugins=True,
)
RTX = Flavor(
    backend="tensorrt-rtx",
    title="TensorRT for RTX",
    module="tensorrt_rtx",
    oldest=(1, 2),
    ahead=True,
    compatible=False,
    plugins=False,
)


def flavor_of(target: Target) -> Flavor:
    """The library of a target."""
    return RTX if target.backend == RTX.backend else TENSORRT
