"""Candidates: backends and precisions first, then variations of the best."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelport.backends import backend_names, get_backend
from modelport.deployment.plan import Plan
from modelport.target import Target

EXACT = ("fp32",)
"""Precisions that are tried without a tolerance."""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def base_plans(targets: Sequence[Target], *, lossy: bool, calibrated: bool = False) -> list[Plan]:
    """One plan for every way to run the model.

    Args:
        targets: What to choose from; by default every backend that works here, on the CPU and,
            where there is a CUDA device, on that.
        lossy: Whether precisions below fp32 are allowed.
        calibrated: Whether there are data, which int8 asks for.

    Returns:
        The plans, in the order in which they are to be tried: those of fp32 first, and last those
        of another provider, such as a compiler that runs in front of the first call.
    """
    found = [Plan(target) for target in targets] or [
        Plan(target) for name in backend_names() for target in _targets_of(name)
    ]
    if not targets and not lossy:
        found = [plan for plan in found if plan.target.precision in EXACT]
    elif not targets and not calibrated:
        found = [plan for plan in found if plan.target.precision != "int8"]
    return sorted(
        found,
        key=lambda plan: (plan.target.provider is not None, plan.target.precision not in EXACT),
    )


def _targets_of(name: str) -> Iterator[Target]:
    backend = get_backend(name)
    if not backend.probe().works:
        return
    taken = backend.CAPABILITIES
    devices = [device for device in taken.devices if device == "cpu" or _has_cuda()]
    for device in devices:
        for provider in (None, *taken.providers):
            for precision in taken.precisions:
                yield Target(name, device, provider, precision)


def _has_cuda() -> bool:
    return Path("/proc/driver/nvidia/version").exists()


def variations(plan: Plan, rewrites: Sequence[str]) -> list[Plan]:
    """Variations of a plan, each in one option.

    Args:
        plan: The plan.
        rewrites: Names of the rewrites that change the graph.

    Returns:
        Plans with another option, another number of threads, or a rewrite.
    """
    backend = get_backend(plan.target)
    choices = dict(backend.tunables(plan.target))
    if backend.CAPABILITIES.threads and cores() > 1:
        choices["threads"] = (0, *_fewer(cores()))
    found = [
        dataclasses.replace(plan, options={**plan.options, option: value})
        for option, values in choices.items()
        for value in values[1:]
    ]
    # In int8 the graph was simplified before.
    if not backend.runs_program and plan.target.precision != "int8":
        found += [dataclasses.replace(plan, rewrites=(name,)) for name in rewrites]
    return found


def _fewer(count: int) -> Iterator[int]:
    """Numbers of threads to try: 1, and half of the cores."""
    yield 1
    if count >= 4:
        yield count // 2


def merged(plans: Sequence[Plan]) -> Plan:
    """One plan with all options that variations of a plan changed."""
    options = {name: value for plan in plans for name, value in plan.options.items()}
    rewrites = tuple(dict.fromkeys(name for plan in plans for name in plan.rewrites))
    return dataclasses.replace(plans[0], options=options, rewrites=rewrites)
