"""What the TensorRT backends can be told about building."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from modelport.backends.base import refuse_unknown_options
from modelport.backends.tensorrt.device import compute_capability, why_no_gpu
from modelport.backends.tensorrt.library import RTX, Flavor
from modelport.errors import UsageError
from modelport.target import Target

HARDWARE = {"ampere+": "AMPERE_PLUS", "same": "SAME_COMPUTE_CAPABILITY"}
"""What an engine of TensorRT can be made to run on beside the GPU that it was built on: every GPU
since Ampere, or those of the same compute capability."""


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build.

    Attributes:
        profiles: Optimization profiles: for a dimension's name a size, or the least, the usual
            and the largest one. What is not named has its declared range. One such profile by
            default.
        opt: The size that an engine is made fastest at, by dimension, where a profile does not
            say.
        usual: The sizes of the example inputs, by dimension: what is taken where `opt` is silent.
        values: For inputs whose values are shapes: the least, the usual and the largest values.
        workspace: Bytes that a layer may use for itself; no limit but the GPU's memory by default.
        version_compatible: The engine runs with later versions of the library, too.
        hardware_compatible: A key of `HARDWARE`, or empty for the GPU of the build alone.
        strip_weights: Leave out the weights; `refit` puts them in.
        refittable: Weights can be replaced after the build.
        plugins: Files of libraries of plugins; they are kept beside the engine.
        prefer_plugins: What has a body of standard operators and a plugin in one of `plugins` is
            the plugin; by default it is the body.
    """

    profiles: Sequence[Mapping[str, int | Sequence[int]]] = ()
    opt: Mapping[str, int] = field(default_factory=dict)
    usual: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)
    workspace: int | None = None
    version_compatible: bool = False
    hardware_compatible: str = ""
    strip_weights: bool = False
    refittable: bool = False
    plugins: Sequence[str | os.PathLike[str]] = ()
    prefer_plugins: bool = False

    @classmethod
    def read(cls, options: Mapping[str, Any], flavor: Flavor) -> BuildOptions:
        """Reads options by name.

        Raises:
            UsageError: An option is unknown, or the library does not offer it.
        """
        names = [item.name for item in dataclasses.fields(cls)]
        refuse_unknown_options(flavor.backend, options, names)
        given = cls(**options)
        if given.workspace is not None and given.workspace < 1:
            raise UsageError(f"a workspace of {given.workspace} bytes is none")
        if given.hardware_compatible not in ("", *HARDWARE):
            raise UsageError(
                f"unknown hardware compatibility {given.hardware_compatible!r}",
                fix=f"one of: {', '.join(HARDWARE)}",
            )
        if given.plugins and not flavor.plugins:
            raise UsageError(
                f"{flavor.title} takes no plugins",
                fix="give operators a body of standard ones (an ONNX function)",
            )
        if given.prefer_plugins and not given.plugins:
            raise UsageError(
                "plugins are to be preferred, and no library of plugins is given",
                fix="give one: `modelport ops build FOLDER --tensorrt` makes it",
            )
        if not flavor.compatible and (given.version_compatible or given.hardware_compatible):
            raise UsageError(
                f"{flavor.title} builds no version- or hardware-compatible engines",
                why="its engines run with the version that built them, on the compute "
                "capabilities that they were built for",
                fix="name every GPU in the target: tensorrt-rtx:sm86:sm89:sm120",
            )
        return given

    @property
    def flags(self) -> list[str]:
        """Names of TensorRT's builder flags that the options stand for."""
        flags = {
            "VERSION_COMPATIBLE": self.version_compatible,
            "STRIP_PLAN": self.strip_weights,
            "REFIT": self.refittable,
        }
        return [flag for flag, wanted in flags.items() if wanted]


def capabilities_of(module: ModuleType, flavor: Flavor, target: Target) -> list[str]:
    """The library's names of the compute capabilities to build for; none for its default.

    Raises:
        UsageError: The library does not build for one of them.
    """
    wanted = list(dict.fromkeys(target.compute_capabilities))
    if not flavor.ahead:
        _require_this_gpu(wanted, flavor)
        return []
    known = [name.lower() for name in module.ComputeCapability.__members__ if name[2:].isdigit()]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UsageError(
            f"{flavor.title} {module.__version__} does not build for {', '.join(unknown)}",
            fix=f"it builds for: {', '.join(known)}",
        )
    return [name.upper() for name in wanted]


def _require_this_gpu(wanted: Sequence[str], flavor: Flavor) -> None:
    missing = why_no_gpu()
    if missing:
        raise UsageError(
            f"{flavor.title} builds for the GPU of the machine that it runs on: {missing}",
            fix=f"build on the machine that will run it, or ahead of time: {RTX.backend}:sm89",
        )
    here = compute_capability()
    if wanted and wanted != [here]:
        raise UsageError(
            f"{flavor.title} builds for the GPU of this machine, {here}, not for "
            f"{', '.join(wanted)}",
            fix="build on the machine that will run it, or with hardware_compatible",
        )
