"""Does a bundle still compute what the original computed?"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os

from modelport.backends import Engine, get_backend
from modelport.backends.interface import Artifact
from modelport.bundle.reader import Bundle
from modelport.proof import (
    ReferenceCase,
    Verification,
    draw_cases,
    far_cases,
    run_reference,
    tolerance_for,
    verify_cases,
)
from modelport.recipe import Recipe, load_recipe
from modelport.target import Target


def verify(
    bundle: str | os.PathLike[str], against: str | Recipe | None = None, seed: int = 1
) -> dict[Target, Verification]:
    """Runs every engine of a bundle again and compares.

    Args:
        bundle: The bundle.
        against: The source or recipe of the original model (needs PyTorch), run on fresh cases;
            by default the reference cases that the bundle carries.
        seed: Seed of the fresh cases; another one than deploying uses.

    Returns:
        The comparison, by target. Where an engine cannot run on this machine, it is that of its
        graph on ONNX Runtime, and says so.

    Raises:
        UsageError: The bundle or the source cannot be read.
        BundleError: The bundle is altered.
    """
    with Bundle.open(bundle) as opened:
        if against is None:
            references, refused = opened.reference_cases(), list[str]()
        else:
            references, refused = _fresh_references(opened, against, seed)
        results = {}
        for target, artifact in opened.manifest.artifacts.items():
            why_not = get_backend(target).why_not_run(target)
            engine = _stand_in(opened, artifact) if why_not else opened.load(target)
            result = verify_cases(
                references,
                engine.run_shared,
                tolerance=functools.partial(tolerance_for, precision=target.precision),
                refused=refused,
            ).without(far_cases([item.case for item in references], target.precision))
            results[target] = dataclasses.replace(result, substituted=why_not)
        return results


def _stand_in(bundle: Bundle, artifact: Artifact) -> Engine:
    # It needs packages that a machine which only runs bundles may lack.
    from modelport.precision.standing_in import stand_in

    return stand_in(bundle.folder, artifact, bundle.manifest.signature)


def _fresh_references(
    bundle: Bundle, against: str | Recipe, seed: int
) -> tuple[list[ReferenceCase], list[str]]:
    from modelport.capture.original import open_original
    from modelport.capture.programs import open_program

    recipe = open_program(load_recipe(against) if isinstance(against, str) else against)
    original = open_original(recipe, bundle.manifest.signature)
    cases = draw_cases(original.signature, original.examples, recipe.values, seed)
    return run_reference(original.run, itertools.islice(cases, 1000), original.given)
