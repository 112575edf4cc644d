import pytest
import torch
from torch import nn

from modelport import UsageError
from modelport.capture.rewriters import (
    register_module_rewrite,
    registrations,
    rewrite_module,
    rewriting,
)


class Block(nn.Module):
    def __init__(self, inner=None):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("offset", torch.tensor(1.0))
        self.inner = inner

    def forward(self, x):
        x = x if self.inner is None else self.inner(x)
        return x * self.scale + self.offset


class SpecialBlock(Block):
    pass


class Replacement(nn.Module):
    def __init__(self, block, factor):
        super().__init__()
        self.block, self.factor = block, factor
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(self.block(x) * self.factor)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Block()
        self.second = self.first
        self.special = nn.ModuleList([SpecialBlock(Block())])

    def forward(self, x):
        return self.special[0](self.second(self.first(x)))


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    yield
    for entry in registrations():
        if not entry.shipped:
            entry.remove()


def times(factor):
    return lambda module, ctx: Replacement(module, factor)


def state(model):
    """Everything that a module consists of, by identity."""
    return {
        (name, attribute): [(key, id(item)) for key, item in value.items()]
        if isinstance(value, dict)
        else id(value)
        for name, module in model.named_modules(remove_duplicate=False)
        for attribute, value in vars(module).items()
    }


def test_modules_are_replaced_and_put_back_by_identity():
    model = Model().eval()
    model.first.register_forward_hook(lambda module, inputs, output: None)
    x = torch.ones(2)
    before, expected = state(model), model(x)
    register_module_rewrite(Block, times(10))
    with rewriting(model) as active:
        assert active.model is model
        assert model.first is model.second
        first = model.first.block
        assert not torch.equal(model(x), expected)
    assert state(model) == before
    assert model.first is first
    assert torch.equal(model(x), expected)
    (record,) = [record for record in active if record.kind == "module"]
    assert record.places == ["first", "second", "special.0.inner", "special.0"]
    assert record.calls == 4
    assert "hooks" in record.note


def test_the_closest_class_wins():
    register_module_rewrite(f"{__name__}.Block", times(10))
    register_module_rewrite(f"{__name__}.SpecialBlock", times(100))
    model = Model().eval()
    with rewriting(model):
        assert model.first.factor == 10
        assert model.special[0].factor == 100
        assert model.special[0].block.inner.factor == 10


def test_the_root_is_replaced():
    register_module_rewrite(Block, times(10), target="tensorrt")
    model = Block().eval()
    with rewriting(model, target="tensorrt") as active:
        assert active.model is not model
        assert active.model.block is model
        assert active.model(torch.ones(1)) == 30
    with rewriting(model, target="onnxruntime") as active:
        assert active.model is model


def test_a_new_module_is_in_the_mode_of_the_old_one():
    register_module_rewrite(Block, times(10))
    model = Block().eval()
    with rewriting(model) as active:
        assert not active.model.dropout.training
        assert not model.training


def test_a_rewrite_may_leave_a_module_alone():
    register_module_rewrite(Block, lambda module, ctx: module)
    model = Model()
    before = state(model)
    with rewriting(model) as active:
        assert state(model) == before
    assert [record.places for record in active.unused] == [[]]


def test_the_context_has_the_module():
    seen = []

    @rewrite_module(Block)
    def look(module, ctx):
        seen.append((ctx.original is module, ctx.target, ctx.opset))
        return module

    with rewriting(Block(), opset=20):
        pass
    assert seen == [(True, None, 20)]


def widen(module, ctx):
    module.extra = nn.Linear(1, 1)
    return module


@pytest.mark.parametrize("wrong", [lambda module, ctx: None, widen])
def test_a_rewrite_must_return_a_module_and_not_change_the_old_one(wrong):
    register_module_rewrite(Block, wrong)
    model = Model()
    first = model.first
    with pytest.raises(UsageError, match=r"Block|replacement"), rewriting(model):
        pass
    assert model.first is first


def test_an_error_in_the_middle_puts_everything_back():
    def fail(module, ctx):
        if isinstance(module, SpecialBlock):
            raise ZeroDivisionError
        return Replacement(module, 10)

    register_module_rewrite(Block, fail)
    model = Model()
    before = state(model)
    with pytest.raises(ZeroDivisionError), rewriting(model):
        pass
    assert state(model) == before


def test_a_class_that_is_none_is_wrong_use():
    register_module_rewrite("torch.nn.functional.relu", times(1))
    with pytest.raises(UsageError, match="not a class"), rewriting(Model()):
        pass


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_replaced_modules_are_exported(capture, export_bytes, same_as_eager):
    register_module_rewrite(Block, times(10))
    model = Model().eval()
    with rewriting(model, capture=capture) as active:
        content = export_bytes(active.model, (torch.ones(2),), [[0]], capture)
        assert same_as_eager(active.model, content, (torch.rand(5),))
    assert not same_as_eager(model, content, (torch.rand(5),))


def test_replaced_modules_are_scripted():
    register_module_rewrite(nn.SiLU, lambda module, ctx: nn.ReLU())
    model = nn.Sequential(nn.SiLU()).eval()
    with rewriting(model, capture="script"):
        scripted = torch.jit.script(model)
    assert scripted(torch.tensor(-1.0)) == 0
