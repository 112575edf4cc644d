"""Scopes: what is rewritten, what is not, and that everything is as before afterwards."""

import sys
import threading
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import modelport.capture.rewriters as rewriters
from modelport import UsageError
from modelport.capture.rewriters import register_rewrite, rewrite, rewriting, unregister

ONES = torch.ones(1, 2)


class Base(nn.Module):
    def forward(self, x):
        return x + 1


class Derived(Base):
    @staticmethod
    def double(x):
        return 2 * x

    @classmethod
    def name(cls, x):
        return cls.__name__, x


class Nested(nn.Module):
    def __init__(self, inner=None):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + 1 if self.inner is None else self.inner(x) + 1


class ReluRepeat(nn.Module):
    def forward(self, x):
        return F.relu(x).repeat(2, 1)


@pytest.fixture
def lib():
    """A library, and a module that imported a function of it by name."""
    library = types.ModuleType("some_library")
    exec("def scale(x):\n    return 2 * x\n", vars(library))
    importer = types.ModuleType("some_importer")
    importer.my_scale = library.scale
    sys.modules.update(some_library=library, some_importer=importer)
    yield types.SimpleNamespace(library=library, importer=importer)
    del sys.modules["some_library"], sys.modules["some_importer"]


def add_ten(ctx, *args, **kwargs):
    return ctx.original(*args, **kwargs) + 10


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    yield
    for entry in rewriters.registrations():
        if not entry.shipped:
            entry.remove()


def everything():
    """The attributes of all modules and of torch's and our classes, by identity."""
    owners = [
        module
        for name, module in list(sys.modules.items())
        # The test tools keep times and reports in modules.
        if type(module) is types.ModuleType and not name.startswith(("_pytest", "hypothesis"))
    ]
    owners += [torch.Tensor, nn.Module, Base, Derived, Nested]
    return {
        (id(owner), name): id(value)
        for owner in owners
        for name, value in list(vars(owner).items())
        if not name.startswith("__warningregistry")
    }


def test_a_function_is_rewritten_where_it_is_and_where_it_was_imported(lib):
    rewrite("some_library.scale")(add_ten)
    with rewriting() as active:
        assert lib.library.scale(1) == 12
        assert lib.importer.my_scale(2) == 14
    assert lib.library.scale(1) == 2
    assert lib.importer.my_scale(2) == 4
    record = next(record for record in active if record.name == "some_library.scale")
    assert record.calls == 2
    assert "some_importer.my_scale" in record.places


def test_a_function_kept_in_a_module_of_the_model_is_rewritten():
    model = nn.Sequential(nn.TransformerEncoderLayer(4, 2, activation=F.relu), nn.ReLU())
    model[1].act = F.relu
    with register_rewrite("torch.nn.functional.relu", add_ten), rewriting(model):
        assert model[1].act(torch.zeros(1)) == 10
    assert model[1].act is F.relu


def test_the_rewrite_knows_the_export():
    seen = []

    def look(ctx, x):
        seen.append((str(ctx.target), ctx.opset, ctx.capture, ctx.name))
        return ctx.original(x)

    register_rewrite("torch.neg", look)
    with rewriting(target="tensorrt:fp16", opset=19, capture="trace"):
        torch.neg(ONES)
    assert seen == [("tensorrt:cuda:fp16", 19, "trace", "torch.neg")]


def test_inherited_static_and_class_methods(lib):
    home = f"{__name__}.Derived"
    before = dict(vars(Derived))
    rewrite(f"{home}.forward")(add_ten)
    rewrite(f"{home}.double")(add_ten)

    @rewrite(f"{home}.name")
    def other_name(ctx, cls, x):
        return ctx.original(cls, x), "rewritten"

    with rewriting():
        assert Derived()(1) == 12
        assert Base()(1) == 2
        assert Derived.double(2) == Derived().double(2) == 14
        assert Derived.name(1) == (("Derived", 1), "rewritten")
    assert dict(vars(Derived)) == before
    assert "forward" not in vars(Derived)


def test_a_base_and_a_derived_class_have_the_genuine_original():
    rewrite(f"{__name__}.Base.forward")(add_ten)
    rewrite(f"{__name__}.Derived.forward")(add_ten)
    with rewriting():
        assert Derived()(1) == Base()(1) == 12


def test_modules_of_one_class_inside_each_other_are_all_rewritten():
    rewrite(f"{__name__}.Nested.forward")(add_ten)
    with rewriting():
        assert Nested(Nested(Nested()))(0) == 33


def test_a_rewrite_may_call_what_it_rewrites():
    @rewrite("torch.neg")
    def twice(ctx, x):
        return torch.neg(x) * 2

    with rewriting():
        assert torch.neg(ONES).eq(-2).all()


def test_everything_is_as_before():
    register_rewrite("torch.nn.functional.relu", add_ten)
    register_rewrite("torch.Tensor.repeat", add_ten)
    register_rewrite(f"{__name__}.Derived.forward", add_ten)
    with rewriting():
        pass  # loads the library and what it imports
    before = everything()
    with rewriting() as active:
        assert everything() != before
    assert everything() == before
    assert "repeat" not in vars(torch.Tensor)
    with pytest.raises(KeyError), rewriting(target="tensorrt"):
        raise KeyError
    assert everything() == before
    register_rewrite("torch.nn.functional.no_such", add_ten)
    with pytest.raises(UsageError, match="no_such") as caught, rewriting():
        pass
    assert everything() == before
    assert "test_rewriting.py:" in caught.value.where
    assert len(active) > 3


def test_indexing_is_rewritten_and_leaves_nothing_in_the_class():
    register_rewrite("torch.Tensor.__getitem__", add_ten)

    @rewrite("torch.Tensor.__setitem__")
    def assign_twice_as_much(ctx, tensor, index, value):
        ctx.original(tensor, index, value * 2)

    x = torch.zeros(3)
    with rewriting():
        assert x[0] == 10
        x[1] = 3
        # An attribute of the class would make tensors sequences for the rest of the process.
        assert torch.tensor([torch.tensor(3)]).tolist() == [3]
    assert x.tolist() == [0, 6, 0]
    assert torch.tensor([torch.tensor(3)]).tolist() == [3]
    assert x[0] == 0


@pytest.mark.parametrize(
    "path",
    [
        "no_such_package.function",
        "torch.no_such.function",
        "torch.nn.functional.relu.no_such",
        "torch.float32",
        "torch.Tensor.no_such",
    ],
)
def test_a_bad_path_is_wrong_use(path):
    register_rewrite(path, add_ten)
    with pytest.raises(UsageError, match=path), rewriting():
        pass


def test_a_name_without_a_module_is_wrong_use():
    with pytest.raises(UsageError, match="dotted"):
        register_rewrite("relu", add_ten)


def test_scopes_nest_and_the_inner_one_has_the_genuine_original(lib):
    register_rewrite("some_library.scale", add_ten)
    with rewriting() as outer:
        with rewriting() as inner:
            assert lib.library.scale(1) == lib.importer.my_scale(1) == 12
        assert lib.library.scale(1) == 12
    assert lib.library.scale(1) == lib.importer.my_scale(1) == 2
    assert [record.calls for record in inner.called] == [2]
    assert [record.calls for record in outer.called] == [1]


def test_other_threads_reach_the_originals_and_wait_for_a_scope(lib):
    register_rewrite("some_library.scale", add_ten)
    seen, inside = [], threading.Event()

    def other():
        seen.append(lib.library.scale(1))
        inside.set()
        with rewriting():
            seen.append(lib.library.scale(1))

    thread = threading.Thread(target=other)
    with rewriting():
        thread.start()
        assert inside.wait(10)
        assert lib.library.scale(1) == 12
    thread.join(10)
    assert seen == [2, 12]
    assert lib.library.scale(1) == 2


def test_what_was_not_called_is_seen():
    register_rewrite("torch.neg", add_ten)
    register_rewrite("torch.sin", add_ten)
    with rewriting() as active:
        torch.neg(ONES)
    assert [record.name for record in active.called] == ["torch.neg"]
    assert [record.name for record in active.unused] == ["torch.sin"]
    assert "test_rewriting.py" in str(active)
    assert active.called[0].to_json()["calls"] == 1
    (finding,) = active.findings()
    assert finding.rule == "rewrite-unused"
    assert "torch.sin" in finding.message
    assert "test_rewriting.py" in finding.where


def test_a_file_that_is_run_again_registers_once():
    source = "@rewrite('torch.neg')\ndef keep(ctx, x):\n    return ctx.original(x) + 1\n"
    for _ in range(2):
        exec(compile(source, "recipe.py", "exec"), {"rewrite": rewrite})
    with rewriting():
        assert torch.neg(ONES).eq(0).all()


def test_functions_cannot_be_rewritten_under_script():
    register_rewrite("torch.neg", add_ten)
    with rewriting(capture="script") as active:
        assert torch.neg(ONES).eq(-1).all()
        torch.jit.script(ReluRepeat())
    (record,) = active.unused
    assert "torch.jit.script" in record.note


def test_a_bound_method_captured_before_is_not_reached():
    # The documented limit: nothing can find it.
    captured = Base().forward
    register_rewrite(f"{__name__}.Base.forward", add_ten)
    with rewriting():
        assert captured(1) == 2


def test_removal():
    handle = register_rewrite("torch.neg", add_ten)
    handle.remove()
    handle.remove()
    rewrite("torch.sin")(add_ten)
    rewrite("torch.cos")(add_ten)
    assert unregister(add_ten) == 2
    with rewriting(shipped=False) as active:
        assert not list(active)


@pytest.mark.parametrize("strict", [False, True])
def test_torch_calls_a_name_again_and_it_is_rewritten_once(strict):
    @rewrite("torch.nn.functional.relu")
    def double(ctx, x, inplace=False):
        return ctx.original(x) * 2

    @rewrite("torch.Tensor.repeat")
    def increment(ctx, x, *sizes):
        return ctx.original(x, *sizes) + 1

    model = ReluRepeat().eval()
    with rewriting(model) as active:
        program = torch.export.export(model, (ONES,), strict=strict)
    assert program.module()(ONES).eq(3).all()
    assert len(active.called) == 2


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_an_exported_graph_has_each_rewrite_once(capture, export_bytes, run_bytes):
    register_rewrite("torch.nn.functional.relu", lambda ctx, x, **_: ctx.original(x) * 2)
    register_rewrite("torch.Tensor.repeat", lambda ctx, x, *sizes: ctx.original(x, *sizes) + 1)
    model = ReluRepeat().eval()
    with rewriting(model, capture=capture) as active:
        content = export_bytes(model, (ONES,), [[0]], capture)
    (result,) = run_bytes(content, (ONES,))
    assert (result == 3).all()
    assert [record.calls for record in active.called] == [1, 1]


def test_entering_is_fast():
    import time

    register_rewrite("torch.nn.functional.relu", add_ten)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        with rewriting():
            pass
        times.append(time.perf_counter() - start)
    # About 15 ms; an export takes seconds.
    assert min(times) < 0.2
