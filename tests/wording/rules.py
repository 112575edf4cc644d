"""Rules of names and sentences. Each rule names what breaks it; none reads a meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.wording.texts import ANY, COMMENT, DOCSTRING, MESSAGE, NAME, Text


@dataclass(frozen=True, order=True)
class Breach:
    """A place that breaks a rule.

    Attributes:
        rule: Name of the rule.
        path: File, relative to the repository.
        line: Line; 0 for the file's name.
        words: The words that break it.
    """

    rule: str
    path: str
    line: int
    words: str


FIELD_NOUNS = frozenset(
    [
        "aliasing",
        "binding",
        "conditioned",
        "encoding",
        "folding",
        "listing",
        "padding",
        "rounding",
        "sampling",
        "string",
        "timing",
        "tracing",
        "tuning",
        "upsampling",
        "wording",
    ]
)
"""Terms of the field (or of these tests) that end as a gerund or a participle does."""

PARTICIPLE = re.compile(r"(?!need|seed|speed|embed)[a-z]{2,}ed")
FIRST_WORDS = re.compile(r"(What|Where|How|Whether|Who|Whose|When|Which|Why|That)\b")
DEFINITION_BY_USE = re.compile(r"(For|By|Of|As|With|From|To be|In) (what|which|whom)\b")

BANNED = {
    "told": re.compile(r"\b(is|are|was|were|be|been|being|gets?|not|never) told\b|\btold\b"),
    "taken": re.compile(r"\btaken\b"),
    "stands": re.compile(r"\bstands\b|\bstood\b"),
    "gives": re.compile(r"\bgives\b|\bgave\b"),
    "came": re.compile(r"\bcame\b"),
    "parts": re.compile(
        r"\bparts?\b(?= (where|from|with each)\b)|\b(they|that|which|it) parts?\b|"
        r"\bparts\b(?! of\b)"
    ),
    "given": re.compile(r"\b(the|what is|what was|a|that is|those|as) given\b|\bgivens\b"),
    "is no": re.compile(r"(?<![Tt]here )\b(is|are|was|were) no\b(?! (longer|more|less)\b)"),
    "is what": re.compile(r"\b(is|are|was) what\b(?! (follows)\b)"),
    "baked in": re.compile(r"\bbaked\b"),
    "the road": re.compile(r"\b(the|whole|this|one) (road|way from)\b"),
    "for per": re.compile(
        r"\b(?:[Oo]ne|[Aa]n?) (?!(?:by|for|from|in|is|of|on|than|that|to|whose|with|without|when|"
        r"as|and|or)\b)[a-z]+ (?:a|an) (?!few\b|little\b|lot\b|bit\b|time\b)[a-z]+"
    ),
}
"""Words and turns that a reader of the field has to read twice. The last one is "a line a step"."""

RIDDLES = frozenset(
    {"given", "place", "places", "came", "wanted", "told", "heard", "meant", "asked"}
)
"""Names that say when a value was obtained, not what it is."""


def of_name(path: str, public: frozenset[str]) -> Iterator[Breach]:
    """Rules of a file's name.

    Args:
        path: The file, relative to the repository.
        public: Names that the package of the file publishes; a module of the same name would hide
            one of them.
    """
    stem = Path(path).stem
    if Path(path).suffix != ".py":
        return
    words = [word for word in stem.removeprefix("test_").split("_") if word]
    if words and words[-1] not in FIELD_NOUNS:
        if words[-1].endswith("ing"):
            yield Breach("gerund file", path, 0, stem)
        elif PARTICIPLE.fullmatch(words[-1]):
            yield Breach("participle file", path, 0, stem)
    if stem in public:
        yield Breach("file of a public name", path, 0, stem)


def of_text(path: str, text: Text) -> Iterator[Breach]:
    """Rules of a docstring, a comment, a message or a name."""
    if text.kind == NAME:
        if text.words.strip("_") in RIDDLES:
            yield Breach("riddle", path, text.line, text.words)
        return
    if text.kind == ANY:
        if path.startswith("src/"):
            yield Breach("Any", path, text.line, text.words)
        return
    if text.kind == DOCSTRING:
        first = text.words.strip().partition("\n")[0]
        if FIRST_WORDS.match(first):
            yield Breach("docstring question", path, text.line, first)
        elif DEFINITION_BY_USE.match(first):
            yield Breach("docstring definition by use", path, text.line, first)
    assert text.kind in (COMMENT, DOCSTRING, MESSAGE)
    for name, pattern in BANNED.items():
        for match in pattern.finditer(text.words):
            line = text.line + text.words.count("\n", 0, match.start())
            begin = max(0, match.start() - 30)
            words = " ".join(text.words[begin : match.end() + 20].split())
            yield Breach(f"word: {name}", path, line, words)
