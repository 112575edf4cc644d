"""``image_to_tensor`` in standard ONNX: the weights of every row and column, made in the graph."""

from __future__ import annotations

from typing import Any

_DOUBLE, _FLOAT, _INT64 = 11, 1, 7  # ONNX's codes of the types


class Body:
    """The body's graph, written step by step; its tensors are [N, H, W, C].

    Args:
        op: What writes nodes.
        image: The picture.
        options: The operator's attributes.
    """

    def __init__(self, op: Any, image: Any, **options: Any) -> None:
        self._op = op
        self._options = options
        single = image.shape is not None and len(image.shape) == 3
        self._pixels = op.Unsqueeze(image, [0]) if single else image
        self._given = {axis: self._size(axis) for axis in (1, 2)}
        self._full = dict(zip((1, 2), self._fitted(), strict=True))

    def look_up(self, table: Any) -> Any:
        """The output."""
        op, options = self._op, self._options
        pixels = op.Cast(self._pixels, to=_DOUBLE if self._convolves else _FLOAT)
        for axis in (2, 1):
            pixels = self._along(pixels, axis)
        if not self._convolves and options["mode"] != "nearest":
            pixels = self._clipped(op.Round(pixels), _FLOAT)
        pixels = op.Cast(pixels, to=_INT64)
        if options["fit"] == "letterbox":
            pixels = self._framed(pixels)
        if options["reverse"]:
            pixels = op.Slice(pixels, [-1], [-(2**62)], [3], [-1])
        planes = op.Transpose(pixels, perm=[0, 3, 1, 2])
        # The channels lie in the table one after the other.
        channels = op.Slice(op.Shape(planes), [1], [2])
        begin = op.Mul(op.Range(self._number(0), op.Squeeze(channels), self._number(1)), [256])
        index = op.Add(planes, op.Unsqueeze(begin, [0, 2, 3]))
        return op.Gather(op.Reshape(table, [-1]), index, axis=0)

    @property
    def _convolves(self) -> bool:
        return bool(self._options["antialias"]) and self._options["mode"] != "nearest"

    def _number(self, value: int) -> Any:
        return self._op.Constant(value_int=value)

    def _double(self, value: Any) -> Any:
        return self._op.Cast(value, to=_DOUBLE)

    def _real(self, value: float, dtype: int) -> Any:
        return self._op.Cast(self._op.Constant(value_float=value), to=dtype)

    def _clipped(self, pixels: Any, dtype: int) -> Any:
        return self._op.Clip(pixels, self._real(0.0, dtype), self._real(255.0, dtype))

    def _size(self, axis: int) -> Any:
        return self._op.Slice(self._op.Shape(self._pixels), [axis], [axis + 1])

    def _fitted(self) -> tuple[Any, Any]:
        """Height and width of the resized picture, int64 [1] each."""
        op, size = self._op, self._options["size"]
        height, width = self._given[1], self._given[2]
        if self._options["fit"] == "exact":
            return op.Constant(value_ints=[size[0]]), op.Constant(value_ints=[size[1]])
        if self._options["fit"] == "shorter":
            shorter = op.Min(height, width)
            return tuple(op.Div(op.Mul(side, [size[0]]), shorter) for side in (height, width))
        above = op.Min(op.Mul(width, [size[0]]), op.Mul(height, [size[1]]))
        area = op.Mul(height, width)
        sides = (
            op.Div(op.Add(op.Mul(op.Mul(above, side), [2]), area), op.Mul(area, [2]))
            for side in (height, width)
        )
        return tuple(op.Max(side, [1]) for side in sides)

    def _places(self, axis: int) -> Any:
        """The numbers of the rows or columns that are kept: int64 [kept]."""
        op, crop = self._op, self._options["crop"]
        full = self._full[axis]
        if not any(crop) or self._options["fit"] == "letterbox":
            return op.Range(self._number(0), op.Squeeze(full), self._number(1))
        length = crop[axis - 1]
        difference = op.Sub(full, [length])
        half = op.Div(difference, [2])
        begin = op.Add(half, op.Mul(op.Mod(difference, [2]), op.Mod(half, [2])))
        return op.Add(op.Range(self._number(0), self._number(length), self._number(1)), begin)

    def _along(self, pixels: Any, axis: int) -> Any:
        if self._options["mode"] == "nearest":
            return self._op.Gather(pixels, self._nearest(axis), axis=axis)
        if self._convolves:
            return self._convolved(pixels, axis)
        return self._interpolated(pixels, axis)

    def _nearest(self, axis: int) -> Any:
        op = self._op
        step = op.Div(self._double(self._given[axis]), self._double(self._full[axis]))
        first = op.Mul(step, self._real(0.5, _DOUBLE))
        others = op.Expand(step, self._full[axis])  # one more than there are: never none
        sums = op.CumSum(op.Concat(first, others, axis=0), self._number(0))
        index = op.Min(op.Cast(sums, to=_INT64), op.Sub(self._given[axis], [1]))
        return op.Gather(index, self._places(axis))

    def _convolved(self, pixels: Any, axis: int) -> Any:
        op, bicubic = self._op, self._options["mode"] == "bicubic"
        inputs = self._double(self._given[axis])
        scale = op.Div(inputs, self._double(self._full[axis]))
        one, half = self._real(1.0, _DOUBLE), self._real(0.5, _DOUBLE)
        wide = op.Max(scale, one)
        support = op.Mul(wide, self._real(2.0 if bicubic else 1.0, _DOUBLE))
        middle = op.Unsqueeze(op.Mul(op.Add(self._double(self._places(axis)), half), scale), [1])
        whole = self._real(0.0, _DOUBLE)
        # What is below 0 is left out in any event: the taps begin there.
        first = op.Floor(op.Add(op.Sub(middle, support), half))
        last = op.Floor(op.Add(op.Add(middle, support), half))
        taps = op.Range(self._number(0), op.Squeeze(self._given[axis]), self._number(1))
        tap = op.Unsqueeze(self._double(taps), [0])
        distance = op.Abs(op.Mul(op.Add(op.Sub(tap, middle), half), op.Div(one, wide)))
        weight = self._filter(distance, bicubic)
        seen = op.And(op.GreaterOrEqual(tap, first), op.Less(tap, last))
        weight = op.Where(seen, weight, whole)
        weight = op.Div(weight, op.ReduceSum(weight, [1], keepdims=1))
        weight = op.Mul(weight, self._real(float(1 << 22), _DOUBLE))
        below = op.Less(weight, whole)
        # Rounded away from 0, as whole numbers.
        weight = op.Where(below, op.Ceil(op.Sub(weight, half)), op.Floor(op.Add(weight, half)))
        if axis == 2:
            sums = op.MatMul(weight, pixels)
        else:
            flat = op.Reshape(pixels, op.Concat(op.Shape(pixels, end=2), [-1], axis=0))
            made = op.MatMul(weight, flat)
            rest = op.Slice(op.Shape(pixels), [2], [4])
            sums = op.Reshape(made, op.Concat(op.Shape(made, end=2), rest, axis=0))
        sums = op.Div(
            op.Add(sums, self._real(float(1 << 21), _DOUBLE)), self._real(float(1 << 22), _DOUBLE)
        )
        return self._clipped(op.Floor(sums), _DOUBLE)

    def _filter(self, distance: Any, bicubic: bool) -> Any:
        op = self._op
        zero, one, two = (self._real(value, _DOUBLE) for value in (0.0, 1.0, 2.0))
        if not bicubic:
            return op.Max(op.Sub(one, distance), zero)
        near = self._cubic(distance, (1.5, -2.5, 0.0, 1.0), _DOUBLE)
        far = self._cubic(distance, (-0.5, 2.5, -4.0, 2.0), _DOUBLE)
        outer = op.Where(op.Less(distance, two), far, zero)
        return op.Where(op.Less(distance, one), near, outer)

    def _cubic(self, distance: Any, factors: tuple[float, ...], dtype: int) -> Any:
        """A polynomial by Horner's rule, the highest power first."""
        made = self._real(factors[0], dtype)
        for factor in factors[1:]:
            made = self._op.Mul(made, distance)
            if factor:
                made = self._op.Add(made, self._real(factor, dtype))
        return made

    def _interpolated(self, pixels: Any, axis: int) -> Any:
        op, half = self._op, self._real(0.5, _FLOAT)
        inputs = self._given[axis]
        step = op.Div(op.Cast(inputs, to=_FLOAT), op.Cast(self._full[axis], to=_FLOAT))
        places = op.Cast(self._places(axis), to=_FLOAT)
        source = op.Sub(op.Mul(op.Add(places, half), step), half)
        bicubic = self._options["mode"] == "bicubic"
        if not bicubic:
            source = op.Max(source, self._real(0.0, _FLOAT))
        low = op.Floor(source)
        part, one = op.Sub(source, low), self._real(1.0, _FLOAT)
        weights = [op.Sub(one, part), part]
        if bicubic:
            near, far = (1.25, -2.25, 0.0, 1.0), (-0.75, 3.75, -6.0, 3.0)
            rest = op.Sub(one, part)
            distances = (op.Add(part, one), part, rest, op.Sub(self._real(2.0, _FLOAT), part))
            weights = [
                self._cubic(distance, factors, _FLOAT)
                for distance, factors in zip(distances, (far, near, near, far), strict=True)
            ]
        first = op.Sub(op.Cast(low, to=_INT64), [len(weights) // 2 - 1])
        last = op.Sub(inputs, [1])
        behind = [1] if axis == 2 else [1, 2]
        made: Any = None
        for tap, weight in enumerate(weights):
            index = op.Min(op.Max(op.Add(first, [tap]), [0]), last)
            seen = op.Mul(op.Gather(pixels, index, axis=axis), op.Unsqueeze(weight, behind))
            made = seen if made is None else op.Add(made, seen)
        return made

    def _framed(self, pixels: Any) -> Any:
        """The picture in the middle of a larger one."""
        op, pads = self._op, []
        for axis in (1, 2):
            missing = op.Sub([self._options["size"][axis - 1]], self._full[axis])
            before = op.Div(missing, [2])
            pads.append((before, op.Sub(missing, before)))
        zero = op.Constant(value_ints=[0])
        (top, bottom), (left, right) = pads
        amounts = op.Concat(zero, top, left, zero, zero, bottom, right, zero, axis=0)
        return op.Pad(pixels, amounts, self._number(self._options["fill"]), mode="constant")
