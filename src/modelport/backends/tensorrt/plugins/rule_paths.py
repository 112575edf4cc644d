"""The ways through a shape rule, put together where they say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelport.backends.tensorrt.plugins.rule_program import Condition, Steps, Way


@dataclass(frozen=True)
class Decision:
    """What a rule was told on a way through it.

    Attributes:
        step: What it asked.
        answer: Whether that holds, or which number it is.
        whole: Whether there are no other answers than those that are tried.
    """

    step: int
    answer: bool | int
    whole: bool = True


@dataclass(frozen=True)
class Walk:
    """One way as it was gone: what was decided, and what the rule gave."""

    decisions: tuple[Decision, ...]
    result: Way


def merged(walks: Sequence[Walk], steps: Steps) -> tuple[Way, ...]:
    """The ways of a rule, of which exactly one is open for known inputs and attributes.

    The walks are a tree of questions. A question whose answers all lead to the same is left out;
    texts that lead to the same are asked for at once; and numbers that are all refused in the same
    words become one way: those that are none of the others.

    Args:
        walks: All that there are.
        steps: Where comparisons with numbers are added.
    """
    return tuple(_ways(_tree(walks, 0, steps), (), steps))


def shortened(refusal: str) -> str:
    """A refusal in which a list of symbols is as long as any: ``[<size>, ...]``."""
    return re.sub(r"(<\w+>)(?:, \1)+", r"\1, ...", refusal)


@dataclass(frozen=True)
class _Question:
    step: int
    whole: bool
    branches: tuple[tuple[bool | int, _Question | Way], ...]


def _tree(walks: Sequence[Walk], depth: int, steps: Steps) -> _Question | Way:
    if len(walks) == 1 and len(walks[0].decisions) == depth:
        return walks[0].result
    asked = walks[0].decisions[depth]
    by_answer: dict[Any, list[Walk]] = {}
    for walk in walks:
        by_answer.setdefault(walk.decisions[depth].answer, []).append(walk)
    branches = tuple((answer, _tree(part, depth + 1, steps)) for answer, part in by_answer.items())
    found = {branch for _, branch in branches}
    if len(found) == 1 and (asked.whole or _refuses(branches[0][1])):
        return branches[0][1]
    return _either(_Question(asked.step, asked.whole, branches), steps)


def _either(question: _Question, steps: Steps) -> _Question:
    """One question in place of two that look for one text after the other, and go on alike."""
    answers: Mapping[Any, _Question | Way] = dict(question.branches)
    then, other = answers.get(True), answers.get(False)
    if not isinstance(other, _Question):
        return question
    after: Mapping[Any, _Question | Way] = dict(other.branches)
    looked, place = _looked_at(question.step, steps), _looked_at(other.step, steps)
    if looked is None or looked != place or after.get(True) != then or False not in after:
        return question
    step = steps.add("maximum", question.step, other.step)
    return _Question(step, True, ((True, after[True]), (False, after[False])))


def _looked_at(place: int, steps: Steps) -> tuple[str, int] | None:
    """What a comparison with texts looks at."""
    step = steps[place]
    if step.kind == "maximum":
        return _looked_at(step.first, steps)
    return (step.kind, step.first) if step.kind in ("text_is", "type_is") else None


def _refuses(branch: _Question | Way) -> bool:
    return isinstance(branch, Way) and bool(branch.refusal)


def _ways(
    branch: _Question | Way, conditions: tuple[Condition, ...], steps: Steps
) -> Iterator[Way]:
    if isinstance(branch, Way):
        yield Way(conditions, branch.outputs, branch.refusal)
        return
    groups: dict[_Question | Way, list[bool | int]] = {}
    for answer, then in branch.branches:
        groups.setdefault(then, []).append(answer)
    joined = _joined(groups, branch.whole)
    for then, answers in groups.items():
        if then is joined:
            others = [item for rest, part in groups.items() if rest is not then for item in part]
            none = tuple(_condition(branch.step, answer, steps, holds=False) for answer in others)
            yield from _ways(then, (*conditions, *none), steps)
        else:
            for answer in answers:
                own = _condition(branch.step, answer, steps, holds=True)
                yield from _ways(then, (*conditions, own), steps)


def _joined(groups: Mapping[_Question | Way, list[Any]], whole: bool) -> _Question | Way | None:
    """The group with the most answers, where it may stand for all that are not the others'."""
    fit = [then for then, answers in groups.items() if len(answers) > 1]
    fit = [then for then in fit if whole or _refuses(then)]
    return max(fit, key=lambda then: len(groups[then]), default=None)


def _condition(step: int, answer: bool | int, steps: Steps, *, holds: bool) -> Condition:
    if isinstance(answer, bool):
        return Condition(step, answer is holds)
    return Condition(steps.add("equal", step, steps.constant(answer)), holds)
