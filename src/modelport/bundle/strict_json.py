"""JSON from strangers (RFC 8259), read in linear time and within limits.

`native/bundle/src/strict_json.cpp` reads the same, and refuses the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

MAX_DEPTH = 64
"""Objects and lists in each other."""
MAX_VALUES = 1 << 20
"""Values in a document."""
MAX_INT, MIN_INT = (1 << 63) - 1, -(1 << 63)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that no text has: they move the cursor of a terminal, begin a line, or turn text
around. A tab and a line feed are allowed."""
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},:]', re.DOTALL)
_OPEN, _CLOSE = b"[{", b"]}"


def read_json(data: bytes) -> Any:
    """The value of a document.

    Args:
        data: UTF-8, without a byte order mark.

    Raises:
        ValueError: It is no JSON, is nested too deeply, has too many values, a name twice in an
            object, a number that 64 bits do not hold, or a text with a character of `CONTROL` or
            half of a surrogate pair.
    """
    text = data.decode()
    _require_small(data)
    value = json.loads(
        text,
        object_pairs_hook=_object,
        parse_int=_int,
        parse_float=_float,
        parse_constant=_constant,
    )
    _require_texts(value)
    return value


def require_text(text: str) -> str:
    """The text.

    Raises:
        ValueError: It has a character that no text of a manifest has.
    """
    if CONTROL.search(text) or not _is_unicode(text):
        raise ValueError(f"a text has a control character or half of a pair: {text[:60]!a}")
    return text


def _require_small(data: bytes) -> None:
    """Counts what is nested, and values, before anything is made of them."""
    depth = values = 0
    for match in _TOKEN.finditer(data):
        token = match[0]
        if token in _OPEN:
            depth += 1
            values += 1
        elif token in _CLOSE:
            depth -= 1
        elif token in b",:":
            values += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        if values > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES} values")


def _require_texts(value: Any) -> None:
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            require_text(item)
        elif isinstance(item, dict):
            left += item
            left += item.values()
        elif isinstance(item, list):
            left += item


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is twice in an object")
    return found


def _int(text: str) -> int:
    value = int(text) if len(text) < 30 else MAX_INT + 1
    if not MIN_INT <= value <= MAX_INT:
        raise ValueError(f"64 bits do not hold the number {text:.30}")
    return value


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"64 bits do not hold the number {text:.30}")
    return value


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
