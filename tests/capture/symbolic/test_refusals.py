"""What must not pass silently: errors, findings, and that everything is as before afterwards."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from symbolic_classes import Broken, Dropping, MyAdd, OldReduceSum, Scribbling, TooFew

from modelport import ExportError
from modelport.capture.symbolic import honour_symbolics, hook
from modelport.capture.torch_private import access, functions

X = torch.randn(2, 4)


def is_unpatched() -> bool:
    base = access.resolve("function base")
    return "apply" not in vars(base) and "__getattribute__" not in vars(type(base))


def test_an_error_in_symbolic_keeps_message_and_place(export):
    with pytest.raises(ExportError) as error:
        export(Broken.apply, X)
    text = str(error.value)
    assert "this layout is not supported" in text
    assert f"{Broken.file}:{Broken.line}" in text
    assert isinstance(error.value.__cause__, ValueError)
    assert is_unpatched()


def test_too_few_outputs(export):
    with pytest.raises(ExportError, match="returned 1 outputs, but forward returns 2 tensors"):
        export(TooFew.apply, X)


def test_a_change_in_place_that_is_not_returned(export):
    with pytest.raises(ExportError, match="writes to an input that it does not return"):
        export(lambda x: Scribbling.apply(x * 1), X)


def test_a_form_that_the_opset_no_longer_has(export):
    with pytest.raises(ExportError, match="ReduceSum with attribute 'axes'"):
        export(OldReduceSum.apply, X)


def test_a_dropped_operand(export):
    exported = export(Dropping.apply, X, X + 1)
    assert exported.rules == ["symbolic-drops-operand"]
    assert "'offset'" in exported.findings[0].message
    assert "symbolic_classes.py:" in exported.findings[0].where


class OnlyStrict(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        # PyTorch captures this in its strict strategy only, to which it falls back.
        return MyAdd.apply(x, torch.tensor([row.sum() for row in x[:2]]).sum())


@pytest.mark.skipif(functions.is_compiled(), reason="dynamo meets the hook itself, and refuses it")
def test_a_class_that_the_export_did_not_honour(export, monkeypatch):
    monkeypatch.setattr(functions, "redirect_dynamo", lambda hook: lambda: None)
    with pytest.raises(ExportError, match=r"MyAdd .* was not honoured") as error:
        export(OnlyStrict(), X)
    assert "fell back to TorchExportStrict" in str(error.value)
    assert "symbolic_classes.py:" in str(error.value)


class Transformable(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Any) -> Any:
        return x * 2

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad * 2

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("my::Double", x)


@pytest.mark.parametrize(
    "transformed",
    [
        torch.func.vmap(lambda row: Transformable.apply(row) + 1),
        torch.func.grad(lambda x: Transformable.apply(x).sum()),
        # Elsewhere it is applied plainly, which must not hide it.
        lambda x: torch.func.vmap(Transformable.apply)(Transformable.apply(x)),
    ],
    ids=["vmap", "grad", "both"],
)
def test_a_transformed_function_is_refused(export, transformed):
    before = torch.autograd.function.custom_function_call
    with pytest.raises(ExportError, match="Transformable cannot be honoured") as error:
        export(transformed, X)
    assert f"{__file__}:" in str(error.value)
    assert torch.autograd.function.custom_function_call is before


def test_a_model_without_symbolics_is_not_run(monkeypatch):
    monkeypatch.setattr(hook, "function_classes", list)
    runs = []

    class Model(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            runs.append(1)
            return x

    with honour_symbolics(Model(), (X,)) as bridge:
        assert runs == []
        assert bridge.findings == []
        assert is_unpatched()


def test_a_class_that_is_defined_late_is_a_finding(export, monkeypatch):
    answers = [[], [MyAdd]]
    monkeypatch.setattr(hook, "function_classes", lambda: answers.pop(0))
    assert export(lambda x: MyAdd.apply(x, x), X).rules == ["symbolic-defined-late"]


def test_a_model_that_fails_in_eager_mode_is_noted():
    class Model(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("only for export")

    with honour_symbolics(Model(), (X,)) as bridge:
        assert [f.rule for f in bridge.findings] == ["eager-run-failed"]
    assert is_unpatched()


def test_the_patch_is_gone_after_an_exception():
    def broken() -> None:
        with honour_symbolics(torch.nn.Identity(), (X,)):
            assert not is_unpatched()
            raise KeyError("x")

    with pytest.raises(KeyError):
        broken()
    assert is_unpatched()


def test_other_threads_do_not_notice():
    results = []
    with honour_symbolics(torch.nn.Identity(), (X,)) as bridge:
        thread = threading.Thread(target=lambda: results.append(MyAdd.apply(X, X)))
        thread.start()
        thread.join()
        # Nor does a call outside of the export.
        results.append(MyAdd.apply(X, X))
        assert not bridge.traced
    assert all(torch.allclose(result, 5 * X) for result in results)


def test_gradients_still_flow():
    x = X.clone().requires_grad_()
    with honour_symbolics(torch.nn.Identity(), (X,)):
        MyAdd.apply(x, x).sum().backward()
    assert x.grad is not None


def test_bridges_nest():
    with honour_symbolics(torch.nn.Identity(), (X,)):
        with honour_symbolics(torch.nn.Identity(), (X,)):
            pass
        assert not is_unpatched()
    assert is_unpatched()


def test_another_patch_is_an_error():
    restore = functions.install_apply(lambda cls, otherwise, *args: None, lambda cls: True)
    try:
        with (
            pytest.raises(ExportError, match="already patched"),
            honour_symbolics(torch.nn.Identity(), (X,)),
        ):
            pass
    finally:
        restore()
    assert is_unpatched()
