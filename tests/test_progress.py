from __future__ import annotations

import pytest

from modelport.progress import Silent, Stages


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.seconds: dict[str, float] = {}

    def start(self, step: str) -> None:
        self.events.append(("start", step))

    def finish(self, step: str, seconds: float) -> None:
        self.events.append(("finish", step))
        self.seconds[step] = seconds

    def fail(self, step: str) -> None:
        self.events.append(("fail", step))


def test_steps_are_told_in_order_with_their_seconds() -> None:
    heard = Heard()
    stage = Stages(heard)
    with stage("first"):
        assert heard.events == [("start", "first")]
    with stage("second"):
        pass
    assert heard.events == [
        ("start", "first"),
        ("finish", "first"),
        ("start", "second"),
        ("finish", "second"),
    ]
    assert list(stage.seconds) == ["first", "second"]
    assert stage.seconds == heard.seconds
    assert all(seconds >= 0.0 for seconds in stage.seconds.values())


def test_failed_step_is_not_told_as_finished() -> None:
    heard = Heard()
    stage = Stages(heard)
    with pytest.raises(ValueError, match="broken"), stage("first"):
        raise ValueError("broken")
    assert heard.events == [("start", "first"), ("fail", "first")]
    assert stage.seconds == {}


def test_nothing_is_shown_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages()("first"):
        Silent().start("inner")
        Silent().finish("inner", 0.0)
    assert capsys.readouterr() == ("", "")
