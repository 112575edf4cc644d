"""State that the reference model keeps between calls, and inputs that it writes into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelport.capture.reference_function import PlainRun, agree
from modelport.capture.reference_model import ReferenceModel
from modelport.findings import Finding, Severity

_LISTED = 3


def state_findings(reference: ReferenceModel, plain: PlainRun) -> Iterator[Finding]:
    """Findings of two calls on the example, the second with what the first left behind.

    Args:
        reference: The reference model, which draws no random numbers.
        plain: The two calls.

    Yields:
        A warning where the second call has other outputs, a note where the model changes its
        state without that, and a warning for every input that it writes into.
    """
    is_steady = plain.again is not None and agree(plain.outputs, plain.again)
    if is_steady and not plain.changed and not plain.written:
        return
    lines = {} if reference.change_lines is None else reference.change_lines(plain.changed)
    if not is_steady:
        yield _kept(plain, lines)
    elif plain.changed:
        yield Finding(
            "state-changed",
            Severity.NOTE,
            f"forward changes {_listed(plain.changed)} of the model. A second call on the same "
            "inputs has the same outputs; the graph leaves it as it was at the capture",
            where=_line(plain.changed, lines),
            fix="compute it in forward, or in __init__ once for all",
        )
    for name in plain.written:
        yield Finding(
            "input-written",
            Severity.WARNING,
            f"forward writes into its input {name!r}. A runtime leaves its inputs as they are, so "
            "that what is written is lost",
            where=lines.get(f"input {name}", name),
            fix=f"return it as an output: Recipe(mutated_inputs={{{name!r}: '{name}_out'}}), or "
            "write into a clone()",
        )


def _kept(plain: PlainRun, lines: Mapping[str, str]) -> Finding:
    kept = _listed(plain.changed) if plain.changed else "something outside of its attributes"
    outcome = "fails" if plain.again is None else "has other outputs"
    return Finding(
        "state-kept",
        Severity.WARNING,
        f"the model remembers its calls: forward changes {kept}, and a second call on the same "
        f"inputs {outcome}. Every call of the graph begins as the model was at the capture",
        where=_line(plain.changed, lines),
        fix="make the state an input and an output, forward(x, state) -> (y, state), and pass it "
        "on from call to call",
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"{name!r}" for name in names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def _line(names: Sequence[str], lines: Mapping[str, str]) -> str:
    return next((lines[name] for name in names if name in lines), ", ".join(names[:_LISTED]))
