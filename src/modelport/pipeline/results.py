"""Results: the meaning of a model's outputs, declared by a recipe and stored in the bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.errors import RunError, UsageError
from modelport.files import images
from modelport.pipeline import draw_results

KINDS = ("classes", "boxes", "mask", "keypoints", "text", "picture")


@dataclass(frozen=True)
class Result:
    """Meaning of a model's outputs.

    Attributes:
        kind: One of `KINDS`.
        labels: Names of the classes; of a text, the characters, with the blank in its place.
        outputs: Which output of the model is which field of the result, where their names differ.
    """

    kind: str
    labels: Sequence[str] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"there is no result {self.kind!r}", fix=f"one of: {', '.join(KINDS)}")

    def to_json(self) -> dict[str, Any]:
        """The declaration as plain dicts and lists."""
        return {"kind": self.kind, "labels": list(self.labels), "outputs": dict(self.outputs)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """Reads what `to_json` wrote."""
        return cls(data["kind"], tuple(data.get("labels", ())), dict(data.get("outputs", {})))

    def require_outputs(self, names: Sequence[str]) -> None:
        """Raises `UsageError` if a model lacks an output that the result needs."""
        needed = [self.outputs.get(name, name) for name in _TYPES[self.kind].needs]
        missing = [name for name in needed if name not in names]
        if missing:
            raise UsageError(
                f"the result {self.kind!r} needs {', '.join(map(repr, missing))}",
                why=f"the model's outputs are: {', '.join(names)}",
                fix="add the step that computes it, or say Result(outputs={field: output})",
            )

    def read(self, outputs: Mapping[str, Array], picture: Array | None) -> Answer:
        """The result of one run.

        Args:
            outputs: Arrays by output name.
            picture: The picture that was looked at, uint8 [H, W, 3]; None where it is not known.

        Returns:
            The result, of the type of the kind.

        Raises:
            RunError: The outputs have other shapes than the result's.
        """
        kind = _TYPES[self.kind]
        arrays = {name: outputs[self.outputs.get(name, name)] for name in kind.needs}
        answer: Answer = kind.of(arrays, tuple(self.labels), picture)
        return answer


@dataclass(frozen=True, repr=False)
class Answer:
    """A result: fields of its own, and a picture of itself.

    Attributes:
        picture: The picture that was looked at, uint8 [H, W, 3]; None where it is not known.
    """

    picture: Array | None
    needs: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, given: Arrays, labels: tuple[str, ...], picture: Array | None) -> Self:
        """Builds the result from a model's outputs."""
        raise NotImplementedError

    def draw(self) -> Array:
        """The result as a picture: uint8 [H, W, 3].

        Raises:
            RunError: The picture that was looked at is not known.
        """
        raise NotImplementedError

    def to_json(self) -> Any:
        """The result as plain dicts and lists."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Draws the result into a PNG or JPEG file."""
        images.write(path, self.draw())

    def show(self) -> None:
        """Opens a window with the result, by the system's viewer of pictures."""
        from PIL import Image

        Image.fromarray(self.draw()).show()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_json()!r})"

    def _canvas(self) -> Array:
        if self.picture is None:
            raise RunError("the result cannot be drawn: the picture is not known", fix="pass it")
        return self.picture


@dataclass(frozen=True)
class ScoredClass:
    """A class and its score.

    Attributes:
        label: The class's name; its number as text where it has none.
        score: Its score.
        index: Its number.
    """

    label: str
    score: float
    index: int


@dataclass(frozen=True, repr=False)
class Classes(Answer):
    """Classes with their scores, the highest first; iterates over `ScoredClass`.

    Attributes:
        classes: The classes.
    """

    classes: tuple[ScoredClass, ...]
    needs: ClassVar[tuple[str, ...]] = ("scores", "labels")

    @classmethod
    def of(cls, given: Arrays, labels: tuple[str, ...], picture: Array | None) -> Self:
        """See `Answer.of`; of a batch, the first picture's."""
        scores, numbers = (_first(given[name], 1) for name in ("scores", "labels"))
        return cls(picture, _scored(scores, numbers, labels))

    @property
    def best(self) -> ScoredClass:
        """The class with the highest score."""
        return self.classes[0]

    def __iter__(self) -> Any:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def to_json(self) -> Any:
        """See `Answer.to_json`."""
        return [{"label": item.label, "score": item.score} for item in self.classes]

    def draw(self) -> Array:
        """See `Answer.draw`."""
        lines = [f"{item.label} {item.score:.2f}" for item in self.classes]
        return draw_results.with_lines(self._canvas(), lines)


@dataclass(frozen=True, repr=False)
class Boxes(Answer):
    """Boxes with their classes, the highest score first.

    Attributes:
        boxes: float32 [n, 4]: x1, y1, x2, y2 in pixels of the picture.
        classes: The class and the score of each.
    """

    boxes: Array
    classes: tuple[ScoredClass, ...]
    needs: ClassVar[tuple[str, ...]] = ("boxes", "scores", "labels")

    @classmethod
    def of(cls, given: Arrays, labels: tuple[str, ...], picture: Array | None) -> Self:
        """See `Answer.of`."""
        boxes = given["boxes"]
        # The best class of every box, from top_k(1), has an axis of its own.
        scores, numbers = (
            given[name][:, 0] if given[name].shape[1:] == (1,) else given[name]
            for name in ("scores", "labels")
        )
        if boxes.ndim != 2 or boxes.shape[1:] != (4,) or scores.shape != boxes.shape[:1]:
            raise RunError(
                f"boxes have shape {list(boxes.shape)} and scores {list(scores.shape)}",
                fix="a result has boxes [n, 4] and scores [n], as the step nms returns them",
            )
        return cls(picture, boxes, _scored(scores, numbers, labels))

    def __len__(self) -> int:
        return len(self.classes)

    def to_json(self) -> Any:
        """See `Answer.to_json`."""
        pairs = zip(self.boxes.tolist(), self.classes, strict=True)
        return [{"label": item.label, "score": item.score, "box": box} for box, item in pairs]

    def draw(self) -> Array:
        """See `Answer.draw`."""
        texts = [f"{item.label} {item.score:.2f}" for item in self.classes]
        numbers = [item.index for item in self.classes]
        return draw_results.with_boxes(self._canvas(), self.boxes, texts, numbers)


@dataclass(frozen=True, repr=False)
class Mask(Answer):
    """A class for every pixel.

    Attributes:
        mask: Numbers of classes, [H, W].
        labels: Names of the classes.
    """

    mask: Array
    labels: tuple[str, ...]
    needs: ClassVar[tuple[str, ...]] = ("labels",)

    @classmethod
    def of(cls, given: Arrays, labels: tuple[str, ...], picture: Array | None) -> Self:
        """See `Answer.of`; of a batch, the first picture's."""
        return cls(picture, _first(given["labels"], 2), labels)

    def to_json(self) -> Any:
        """See `Answer.to_json`: the part of the picture that each class has."""
        numbers, counts = np.unique(self.mask, return_counts=True)
        return {
            _label(self.labels, number): count / self.mask.size
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        }

    def draw(self) -> Array:
        """See `Answer.draw`."""
        return draw_results.with_mask(self._canvas(), self.mask)


@dataclass(frozen=True, repr=False)
class Keypoints(Answer):
    """Places with their scores.

    Attributes:
        keypoints: float32 [K, 2]: x, y in pixels of the picture.
        scores: float32 [K].
        labels: Their names.
    """

    keypoints: Array
    scores: Array
    labels: tuple[str, ...]
    needs: ClassVar[tuple[str, ...]] = ("keypoints", "scores")

    @classmethod
    def of(cls, given: Arrays, labels: tuple[str, ...], picture: Array | None) -> Self:
        """See `Answer.of`; of a batch, the first picture's."""
        return cls(picture, _first(given["keypoints"], 2), _first(given["scores"], 1), labels)

    def to_json(self) -> Any:
        """See `Answer.to_json`."""
        pairs = zip(self.keypoints.tolist(), self.scores.tolist(), strict=True)
        return [
            {"label": _label(self.labels, number), "score": score, "x": index[0], "y": index[1]}
            for number, (index, score) in enumerate(pairs)
        ]

    def draw(self) -> Array:
        """See `Answer.draw`."""
        return draw_results.with_points(self._canvas(), self.keypoints)


@dataclass(frozen=True, repr=False)
class Text(Answer):
    """A text.

    Attributes:
        text: The text.
    """

    text: str
    needs: ClassVar[tuple[str, ...]] = ("labels",)

    @classmethod
    def of(cls, given: Arrays, labels: tuple[str, ...], picture: Array | None) -> Self:
        """See `Answer.of`."""
        return cls(picture, "".join(_label(labels, number) for number in given["labels"].tolist()))

    def to_json(self) -> Any:
        """See `Answer.to_json`."""
        return self.text

    def draw(self) -> Array:
        """See `Answer.draw`."""
        return draw_results.with_lines(self._canvas(), [self.text])


@dataclass(frozen=True, repr=False)
class Picture(Answer):
    """A picture as the model's output.

    Attributes:
        made: uint8 [H, W, 3].
    """

    made: Array
    needs: ClassVar[tuple[str, ...]] = ("picture",)

    @classmethod
    def of(cls, given: Arrays, labels: tuple[str, ...], picture: Array | None) -> Self:
        """See `Answer.of`; of a batch, the first one."""
        return cls(picture, _first(given["picture"], 3))

    def to_json(self) -> Any:
        """See `Answer.to_json`: its size."""
        return {"height": self.made.shape[0], "width": self.made.shape[1]}

    def draw(self) -> Array:
        """See `Answer.draw`: what the model made."""
        return np.broadcast_to(self.made, (*self.made.shape[:2], 3))


_TYPES: Mapping[str, type[Answer]] = {
    "classes": Classes,
    "boxes": Boxes,
    "mask": Mask,
    "keypoints": Keypoints,
    "text": Text,
    "picture": Picture,
}


def _first(array: Array, rank: int) -> Array:
    """The first item of a batch; an array without a batch is returned."""
    while array.ndim > rank:
        array = array[0]
    return array


def _label(labels: Sequence[str], number: int) -> str:
    return labels[number] if 0 <= number < len(labels) else str(number)


def _scored(scores: Array, numbers: Array, labels: tuple[str, ...]) -> tuple[ScoredClass, ...]:
    return tuple(
        ScoredClass(_label(labels, number), score, number)
        for score, number in zip(scores.tolist(), numbers.tolist(), strict=True)
    )
