"""What works on this machine, and what would make the rest work."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from modelport.backends.base import Capabilities, Probe
from modelport.backends.registry import backend_names, get_backend
from modelport.child_process import Limits, run
from modelport.extras import install_command

_EXPORT_PACKAGES = ("torch", "onnx", "onnx-ir", "onnxscript", "jinja2")
_COMPILERS = {"c++": "apt-get install g++", "nvcc": "install the CUDA toolkit (CUDA kernels only)"}


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found.

    Attributes:
        python: Version of Python.
        platform: Operating system and processor.
        backends: The backends.
        packages: What exporting needs.
        compilers: What building operators needs.
        capabilities: What each backend takes, whether it works here or not.
    """

    python: str
    platform: str
    backends: tuple[Probe, ...]
    packages: tuple[Probe, ...]
    compilers: tuple[Probe, ...]
    capabilities: Mapping[str, Capabilities]


CAPABILITY_HEADS = (
    "backend",
    "devices",
    "precisions",
    "inputs and outputs",
    "dynamic sizes",
    "custom operators",
    "threads",
)


def capability_rows(capabilities: Mapping[str, Capabilities]) -> list[list[str]]:
    """What backends take, as rows of a table with the columns `CAPABILITY_HEADS`."""
    return [
        [
            name,
            ", ".join(taken.devices),
            ", ".join(f"{key} ({how})" for key, how in taken.precisions.items()),
            ", ".join(taken.dtypes),
            taken.dynamic_shapes,
            ", ".join(taken.custom_operators) or "none",
            "chosen" if taken.threads else "not chosen",
        ]
        for name, taken in capabilities.items()
    ]


def doctor() -> Diagnosis:
    """Looks at what is installed, and tries every backend.

    Returns:
        One probe each, with the command that would make it work where it does not.
    """
    return Diagnosis(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        backends=tuple(get_backend(name).probe() for name in backend_names()),
        packages=tuple(map(_probe_package, _EXPORT_PACKAGES)),
        compilers=tuple(_probe_compiler(name, remedy) for name, remedy in _COMPILERS.items()),
        capabilities={name: get_backend(name).CAPABILITIES for name in backend_names()},
    )


def _probe_package(name: str) -> Probe:
    # It alone would take a fifth of the time that `modelport.load` needs.
    import importlib.metadata
    import importlib.util

    remedy = install_command("export")
    if importlib.util.find_spec(name.replace("-", "_")) is None:
        return Probe(name, False, detail="not installed", remedy=remedy)
    return Probe(name, True, importlib.metadata.version(name))


def _probe_compiler(name: str, remedy: str) -> Probe:
    path = shutil.which(name)
    if path is None:
        return Probe(name, False, detail="not found on PATH", remedy=remedy)
    answer = run([path, "--version"], Limits(60.0))
    if answer.code != 0:
        return Probe(name, False, detail=answer.errors.strip() or answer.how, remedy=remedy)
    lines = answer.output.strip().splitlines()
    return Probe(name, True, lines[-1] if name == "nvcc" else lines[0], detail=path)
