"""A shape rule, run on symbols: what it computes with, and how it goes on where it asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from modelport.backends.tensorrt.plugins.rule_paths import Decision
from modelport.backends.tensorrt.plugins.rule_program import Steps
from modelport.ops.shapes import TensorInfo

if TYPE_CHECKING:
    from modelport.ops.schema import Attribute

MOST_RANK = 8
"""The highest rank of a tensor in TensorRT, and in kernels."""

_MOST_ITEMS = 8


class UntraceableError(Exception):
    """A rule does something that cannot be said as an expression of dimensions."""


class Trail:
    """The answers that a rule gets on one way through it; what lies beside the way is kept.

    Attributes:
        steps: All that is computed on any way.
        decisions: What was asked on this way, and answered.
        others: The beginnings of ways that part from this one.
    """

    def __init__(self, steps: Steps, answers: Sequence[Any]) -> None:
        self.steps = steps
        self.decisions: list[Decision] = []
        self.others: list[tuple[Any, ...]] = []
        self._answers = list(answers)
        self._known: dict[int, Any] = {}

    def holds(self, step: int) -> bool:
        """Whether a condition holds on this way."""
        return bool(self._decided(step, (True, False), whole=True))

    def value(self, step: int, options: Sequence[int], *, whole: bool = False) -> int:
        """The value of something that must be a number of Python's: a rank, a length.

        Args:
            step: What computes it.
            options: The numbers that it may be.
            whole: Whether it cannot be another one.
        """
        return int(self._decided(step, options, whole=whole))

    def _decided(self, step: int, options: Sequence[Any], *, whole: bool) -> Any:
        if step in self._known:
            return self._known[step]
        place = len(self.decisions)
        if place < len(self._answers):
            chosen = self._answers[place]
        else:
            chosen, *others = options
            taken = [item.answer for item in self.decisions]
            self.others += [(*taken, other) for other in others]
        self._known[step] = chosen
        self.decisions.append(Decision(step, chosen, whole))
        return chosen


class Number:
    """A number that is known when a graph is built, or when it runs."""

    def __init__(self, trail: Trail, step: int, name: str = "a size") -> None:
        self.trail = trail
        self.step = step
        self._name = name

    def _made(self, kind: str, other: Any, *, turned: bool = False) -> Any:
        if not isinstance(other, Number | int | float):
            return NotImplemented
        own, theirs = self.step, step_of(self.trail, other)
        pair = (theirs, own) if turned else (own, theirs)
        return Number(self.trail, self.trail.steps.add(kind, *pair))

    def __add__(self, other: Any) -> Any:
        return self._made("add", other)

    def __radd__(self, other: Any) -> Any:
        return self._made("add", other, turned=True)

    def __sub__(self, other: Any) -> Any:
        return self._made("subtract", other)

    def __rsub__(self, other: Any) -> Any:
        return self._made("subtract", other, turned=True)

    def __mul__(self, other: Any) -> Any:
        return self._made("multiply", other)

    def __rmul__(self, other: Any) -> Any:
        return self._made("multiply", other, turned=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._made("floor_divide", other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._made("floor_divide", other, turned=True)

    def __truediv__(self, other: Any) -> Any:
        return self._made("divide", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._made("divide", other, turned=True)

    def __mod__(self, other: Any) -> Any:
        return self - self // other * other

    def __rmod__(self, other: Any) -> Any:
        return other - other // self * self

    def __neg__(self) -> Any:
        return 0 - self

    def __floor__(self) -> Any:
        return self // 1

    def __ceil__(self) -> Any:
        return -(-self // 1)

    def __lt__(self, other: Any) -> Any:
        return self._asked("less", other)

    def __gt__(self, other: Any) -> Any:
        return self._asked("less", other, turned=True)

    def __le__(self, other: Any) -> Any:
        return self._asked("less", other, turned=True, wanted=False)

    def __ge__(self, other: Any) -> Any:
        return self._asked("less", other, wanted=False)

    def __eq__(self, other: Any) -> Any:
        return self._asked("equal", other)

    def __ne__(self, other: Any) -> Any:
        return self._asked("equal", other, wanted=False)

    def _asked(self, kind: str, other: Any, *, turned: bool = False, wanted: bool = True) -> Any:
        made = self._made(kind, other, turned=turned)
        if made is NotImplemented:
            return made
        return self.trail.holds(made.step) is wanted

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """What `torch.sym_min` and `torch.sym_max` of sizes are."""
        kind = {"sym_min": "minimum", "sym_max": "maximum"}.get(function.__name__)
        if kind is None:
            raise UntraceableError(f"it calls torch.{function.__name__} on a size")
        first, second = args
        turned = not isinstance(first, Number)
        own, other = (second, first) if turned else (first, second)
        return own._made(kind, other, turned=turned)

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __int__(self) -> NoReturn:
        raise UntraceableError("it makes a Python number of a size; use //, math.floor, math.ceil")

    __index__ = __float__ = __int__

    def __hash__(self) -> int:
        raise UntraceableError(f"it looks {self._name} up in a table or a set")

    def __repr__(self) -> str:
        return self._name


def step_of(trail: Trail, value: Any) -> int:
    """The step that computes a value.

    Raises:
        UntraceableError: It is no number.
    """
    if isinstance(value, Number):
        return value.step
    if isinstance(value, int | float):
        return trail.steps.constant(value)
    raise UntraceableError(f"it gives {value!r} for a size")


class Text:
    """A text that is known when a graph is built: an attribute, or the dtype of an input."""

    def __init__(self, trail: Trail, kind: str, place: int, name: str = "a type") -> None:
        self._trail = trail
        self._kind = kind
        self._place = place
        self._name = name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return self is other
        return self._trail.holds(self._trail.steps.add(self._kind, self._place, text=other))

    def __hash__(self) -> int:
        raise UntraceableError(f"it looks {self._name} up in a table or a set")

    def __repr__(self) -> str:
        return self._name


class Untraceable:
    """An attribute that a rule may get, and not look at."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __len__(self) -> int:
        raise UntraceableError(f"it looks at {self._name}, a list of texts")

    def __getitem__(self, place: Any) -> Any:
        raise UntraceableError(f"it looks at {self._name}, a list of texts")


class Items(Sequence[Any]):
    """A list whose length is known when a graph is built."""

    def __init__(self, trail: Trail, length: int, item: Any) -> None:
        self._trail = trail
        self._length = length
        self._item = item

    def __len__(self) -> int:
        return self._trail.value(self._length, range(_MOST_ITEMS, -1, -1))

    def __getitem__(self, place: Any) -> Any:
        return [self._item(index) for index in range(len(self))][place]

    def __iter__(self) -> Iterator[Any]:
        return map(self._item, range(len(self)))


class TracedInfo(TensorInfo):
    """An input. Its rank is asked for only where the rule looks at its shape."""

    __slots__ = ("_given", "_trail", "place")

    def __init__(self, trail: Trail, place: int) -> None:
        self._trail = trail
        self._given: tuple[Number, ...] | None = None
        self.place = place

    @property
    def shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        """A number for each dimension."""
        if self._given is None:
            trail = self._trail
            # The ranks that are met most come first.
            options = sorted(range(MOST_RANK + 1), key=lambda rank: abs(rank - 4))
            rank = trail.value(trail.steps.add("rank", self.place), options, whole=True)
            dims = [trail.steps.add("dimension", self.place, axis) for axis in range(rank)]
            self._given = tuple(Number(trail, step) for step in dims)
        return self._given

    @property
    def dtype(self) -> Any:  # type: ignore[override]
        """Its name, which can be compared with others."""
        return Text(self._trail, "type_is", self.place)


def traced_attribute(trail: Trail, attribute: Attribute, place: int) -> Any:
    """An attribute as a rule gets it."""
    steps, name = trail.steps, f"<{attribute.name}>"
    if attribute.kind == "str":
        return Text(trail, "text_is", place, name)
    if attribute.kind == "list[str]":
        return Untraceable(name)
    if attribute.kind.startswith("list["):
        length = steps.add("length", place)
        return Items(
            trail, length, lambda index: Number(trail, steps.add("item", place, index), name)
        )
    return Number(trail, steps.add("attribute", place), name)
