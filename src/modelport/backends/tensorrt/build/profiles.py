"""Optimization profiles: the sizes that an engine takes, and the one that it is fastest at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from modelport.backends.tensorrt.build.options import BuildOptions
from modelport.errors import UsageError
from modelport.findings import Finding, Severity
from modelport.signature import Dim, Signature

Range = tuple[int, int, int]
"""The least, the usual and the largest size."""
Shapes = tuple[list[int], list[int], list[int]]
"""Shapes of an input at the least, the usual and the largest sizes."""
Profile = dict[str, Shapes]
"""By input; inputs of fixed shape are not in it."""

ASSUMED_BATCH = 16
ASSUMED_SIZE = 1024
"""The largest size of a dimension that has none: of a first axis, and of any other."""


def plan_profiles(
    signature: Signature, options: BuildOptions
) -> tuple[list[Profile], list[Finding]]:
    """The optimization profiles of a build.

    Args:
        signature: What the model takes, with the declared ranges.
        options: What the user wants.

    Returns:
        The profiles, none where all shapes are fixed, and a finding for each dimension whose
        largest size had to be assumed.

    Raises:
        UsageError: A rank is not known, a dimension is unknown, or a size lies outside of its
            range.
    """
    axes = dict(_dynamic_axes(signature))
    for name in (*options.opt, *(name for profile in options.profiles for name in profile)):
        if name not in axes:
            raise UsageError(
                f"the model has no dynamic dimension {name!r}",
                fix=f"it has: {', '.join(axes) or 'none, all its shapes are fixed'}",
            )
    assumed = [name for name in axes if _declared(signature, name).max is None]
    ranges = [
        {name: _range(signature, name, axes[name], given, options) for name in axes}
        for given in options.profiles or ({},)
    ]
    # A profile that says what the largest size is leaves nothing to assume.
    silent = [
        name for name in assumed if any(name not in given for given in options.profiles or ({},))
    ]
    findings = [_assumption(name, ranges[0][name][2]) for name in silent]
    return ([_profile(signature, item) for item in ranges] if axes else []), findings


def _dynamic_axes(signature: Signature) -> Iterator[tuple[str, bool]]:
    """The names of dynamic dimensions, and whether each is a first axis."""
    found: dict[str, bool] = {}
    for spec in signature.inputs:
        if spec.shape is None:
            raise UsageError(
                f"the rank of the input {spec.name!r} is not known",
                fix="export the model with example inputs",
            )
        for axis, size in enumerate(spec.shape):
            if isinstance(size, str):
                found[size] = found.get(size, True) and axis == 0
    yield from found.items()


def _declared(signature: Signature, name: str) -> Dim:
    return signature.dims.get(name, Dim(name))


def _range(
    signature: Signature,
    name: str,
    first: bool,
    given: Mapping[str, int | Sequence[int]],
    options: BuildOptions,
) -> Range:
    dim = _declared(signature, name)
    if name in given:
        sizes = given[name]
        least, usual, most = (sizes,) * 3 if isinstance(sizes, int) else sizes
        outside = [size for size in (least, usual, most) if size not in dim]
        if not least <= usual <= most or outside:
            raise UsageError(
                f"the profile {name}={least}:{usual}:{most} is impossible",
                why=f"{outside[0]} lies outside of the declared range {dim}"
                if outside
                else "the sizes must rise: least, usual, largest",
                fix=f"give sizes inside {dim}",
            )
        return least, usual, most
    least = dim.min
    assumed = dim.nearest(max(ASSUMED_BATCH if first else ASSUMED_SIZE, options.opt.get(name, 0)))
    most = assumed if dim.max is None else dim.max
    if name in options.opt:
        if options.opt[name] not in dim or options.opt[name] > most:
            raise UsageError(
                f"the engine cannot be fastest at {name}={options.opt[name]}",
                why=f"it lies outside of the range {dim}",
            )
        return least, options.opt[name], most
    usual = options.usual.get(name, 0)
    if usual <= 1 < most or usual not in range(least, most + 1):
        # Nobody said more, or an example of one: it stands for no batch.
        usual = dim.nearest(round(math.sqrt(max(least, 1) * most)))
    return least, usual, most


def _assumption(name: str, most: int) -> Finding:
    return Finding(
        "profile-assumed",
        Severity.WARNING,
        f"the dimension {name!r} has no largest size, which TensorRT must know: the engine takes "
        f"up to {most}",
        where=name,
        fix=f"declare it: modelport.Dim({name!r}, min=..., max=...), or a profile",
    )


def _profile(signature: Signature, ranges: Mapping[str, Range]) -> Profile:
    profile: Profile = {}
    for spec in signature.inputs:
        if any(isinstance(size, str) for size in spec.shape or ()):
            least, usual, most = (
                [size if isinstance(size, int) else ranges[size][kind] for size in spec.shape or ()]
                for kind in range(3)
            )
            profile[spec.name] = (least, usual, most)
    return profile
