from __future__ import annotations

import pytest

import modelport
from modelport import errors

JUDGED_BAD = {"BuildError", "ExportError", "PassError", "ProofError"}
UNREADABLE = {"BundleError", "OperatorError", "RunError", "UsageError"}


@pytest.mark.parametrize("name", sorted(JUDGED_BAD | UNREADABLE))
def test_every_error_is_a_modelport_error_with_its_exit_code(name: str) -> None:
    kind = getattr(modelport, name)
    assert issubclass(kind, modelport.ModelportError)
    assert kind("broken").exit_code == (1 if name in JUDGED_BAD else 2)


def test_no_error_is_left_out() -> None:
    own = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert own == JUDGED_BAD | UNREADABLE | {"ModelportError"}


def test_text_says_what_where_why_and_fix_in_order() -> None:
    error = modelport.UsageError("it broke", where="a.py:3", why="too hot", fix="cool it")
    assert str(error).splitlines() == [
        "it broke",
        "  where: a.py:3",
        "  why: too hot",
        "  fix: cool it",
    ]


def test_text_leaves_out_what_is_not_known() -> None:
    assert str(modelport.RunError("it broke")) == "it broke"
    assert str(modelport.RunError("it broke", fix="mend it")) == "it broke\n  fix: mend it"


def raised() -> Exception:
    """An error with a cause, whose cause was raised while another was handled."""
    try:
        try:
            try:
                raise KeyError("the first")
            except KeyError:
                int("no number")
        except ValueError as error:
            raise RuntimeError("the last") from error
    except RuntimeError as error:
        return error
    raise AssertionError


def test_causes_go_back_to_the_first() -> None:
    error = raised()
    assert [type(cause) for cause in errors.causes(error)] == [RuntimeError, ValueError]
    assert [type(cause) for cause in errors.causes(error, contexts=True)] == [
        RuntimeError,
        ValueError,
        KeyError,
    ]
    assert isinstance(errors.first_cause(error), ValueError)
    assert list(errors.causes(None)) == []


def test_causes_in_a_circle_end() -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    assert list(errors.causes(one)) == [one, other]


def test_first_line_leaves_out_what_follows() -> None:
    assert errors.first_line(ValueError("\nshort\nlong advice")) == "ValueError: short"
    assert errors.first_line(KeyboardInterrupt()) == "KeyboardInterrupt"
