"""A shape rule as data: steps that compute sizes, and the ways through the rule."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One thing that is computed, or known.

    Attributes:
        kind: What: ``constant``; ``present`` (1 where an input is there), ``rank``,
            ``dimension``, ``type_is``, ``count`` (of a list) for inputs; ``attribute``, ``item``,
            ``length``, ``text_is`` for attributes; ``add``, ``subtract``, ``multiply``,
            ``divide``, ``floor_divide``, ``minimum``, ``maximum``, ``less`` and ``equal`` of two
            steps.
        first: The input, the attribute, or the first step.
        second: The axis, the item, or the second step.
        number: Of a constant.
        text: That it is compared with.
    """

    kind: str
    first: int = 0
    second: int = 0
    number: float = 0
    text: str = ""


class Steps:
    """Steps in the order in which they can be computed, none of them twice."""

    def __init__(self) -> None:
        self._places: dict[Step, int] = {}
        self._listed: list[Step] = []

    def __getitem__(self, place: int) -> Step:
        return self._listed[place]

    def add(self, kind: str, first: int = 0, second: int = 0, *, text: str = "") -> int:
        """The place of a step."""
        return self._place(Step(kind, first, second, text=text))

    def constant(self, number: float) -> int:
        """The place of a constant."""
        return self._place(Step("constant", number=float(number)))

    def _place(self, step: Step) -> int:
        if step not in self._places:
            self._places[step] = len(self._listed)
            self._listed.append(step)
        return self._places[step]

    def listed(self) -> tuple[Step, ...]:
        """All of them."""
        return tuple(self._listed)


@dataclass(frozen=True)
class Condition:
    """That a step is not 0, or that it is.

    Attributes:
        step: The step.
        holds: Whether it must not be 0.
    """

    step: int
    holds: bool


@dataclass(frozen=True)
class Dimension:
    """A dimension of an output.

    Attributes:
        step: What computes it.
        is_bound: Whether that is only what it is at most, as values decide it.
    """

    step: int
    is_bound: bool


@dataclass(frozen=True)
class OutputShape:
    """The shape of an output: that of an input, or dimension by dimension.

    Attributes:
        like: The input; -1 where there are dimensions.
        dimensions: The dimensions.
    """

    like: int = -1
    dimensions: tuple[Dimension, ...] = ()


@dataclass(frozen=True)
class Way:
    """One way through a rule.

    Attributes:
        conditions: What must hold for it.
        outputs: The shapes that it gives.
        refusal: What the rule says where it refuses its inputs, else empty.
    """

    conditions: tuple[Condition, ...]
    outputs: tuple[OutputShape, ...] = ()
    refusal: str = ""


@dataclass(frozen=True)
class ShapeProgram:
    """A shape rule.

    Attributes:
        steps: All that is computed, on any way.
        ways: The ways, of which exactly one is open for known inputs and attributes.
        sizes: Outputs and axes of the sizes that values decide: the plugin gives each of them
            as an output of its own.
    """

    steps: tuple[Step, ...]
    ways: tuple[Way, ...]
    sizes: tuple[tuple[int, int], ...] = field(default=())
