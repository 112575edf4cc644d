"""Which of an ONNX operator's versions and types ONNX Runtime's CPU provider has a kernel for."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelport.ops.catalog.probe import probe

CPU = "CPUExecutionProvider"
_OPEN_END = 2**31 - 1
"""ONNX Runtime's mark of a kernel whose last version is not fixed."""


class KernelSource(StrEnum):
    """How the kernels were found out."""

    LISTED = "listed"
    """From the list that ONNX Runtime gives of its registered kernels."""
    PROBED = "probed"
    """By creating sessions of one-node models, since this build gives no list. It tells what the
    runtime accepts, by a kernel, by a cast of float16 to float, or by a function body."""
    SKIPPED = "skipped"
    """Not looked for."""


@dataclass(frozen=True)
class Kernel:
    """A CPU kernel of ONNX Runtime.

    Attributes:
        types: The types it takes by type parameter, e.g. ``{"T1": ("tensor(float)",)}``; a
            parameter that is missing is not constrained.
        since: The first version that it is registered for.
        until: The last one, None where it is open.
    """

    types: Mapping[str, tuple[str, ...]]
    since: int
    until: int | None

    def serves(self, version: int) -> bool:
        """Whether ONNX Runtime takes the kernel for a schema version.

        The rule is the runtime's own (KernelRegistry::VerifyKernelDef): an open-ended kernel
        serves the version that it was registered at only, not those after it.

        Args:
            version: The ``since`` of an operator's version.
        """
        return self.since == version or (
            self.until is not None and self.since < version <= self.until
        )


def cpu_kernels(
    domain: str, name: str, schemas: Sequence[Any]
) -> tuple[KernelSource, dict[int, tuple[Kernel, ...]]]:
    """Finds the CPU kernels of an operator in the installed ONNX Runtime.

    Args:
        domain: The operator's domain.
        name: The operator's name.
        schemas: Its versions.

    Returns:
        How they were found out, and the kernels by the version that they serve; a version that
        could not be probed is missing.
    """
    versions = [schema.since_version for schema in schemas]
    listed = listed_kernels()
    if listed is None:
        return KernelSource.PROBED, _probed(schemas)
    mine = listed.get((domain, name), ())
    found = {version: [kernel for kernel in mine if kernel.serves(version)] for version in versions}
    return KernelSource.LISTED, {version: _merged(kernels) for version, kernels in found.items()}


def _probed(schemas: Sequence[Any]) -> dict[int, tuple[Kernel, ...]]:
    found: dict[int, tuple[Kernel, ...]] = {}
    for schema in schemas:
        types = probe(schema)
        if types is not None:
            version, parameter = schema.since_version, schema.inputs[0].type_str
            found[version] = (Kernel({parameter: types}, version, version),) if types else ()
    return found


@functools.cache
def listed_kernels() -> Mapping[tuple[str, str], tuple[Kernel, ...]] | None:
    """ONNX Runtime's list of its CPU kernels, by domain and name.

    Returns:
        None where this build of ONNX Runtime keeps the list to itself.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    give_list = getattr(state, "get_all_opkernel_def", None)
    if give_list is None:
        return None
    found: dict[tuple[str, str], list[Kernel]] = {}
    for definition in give_list():
        if definition.provider == CPU:
            key = (definition.domain, definition.op_name)
            found.setdefault(key, []).append(_kernel(definition))
    return {key: tuple(kernels) for key, kernels in found.items()}


def _kernel(definition: Any) -> Kernel:
    since, until = definition.version_range
    types = {
        parameter: tuple(sorted(names))
        for parameter, names in sorted(definition.type_constraints.items())
    }
    return Kernel(types, since, None if until >= _OPEN_END else until)


def _merged(kernels: Sequence[Kernel]) -> tuple[Kernel, ...]:
    """Kernels that differ in the type of their one type parameter become one."""
    groups: dict[tuple[Any, ...], list[Kernel]] = {}
    for kernel in kernels:
        alone = next(iter(kernel.types)) if len(kernel.types) == 1 else tuple(kernel.types.items())
        groups.setdefault((alone, kernel.since, kernel.until), []).append(kernel)
    return tuple(
        group[0]
        if len(group) == 1
        else Kernel(
            {
                parameter: tuple(
                    sorted({name for kernel in group for name in kernel.types[parameter]})
                )
                for parameter in group[0].types
            },
            group[0].since,
            group[0].until,
        )
        for group in groups.values()
    )
