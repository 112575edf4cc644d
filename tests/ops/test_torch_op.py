from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

import modelport
from modelport import Operator, OperatorError
from modelport.ops.declaration import DTYPES
from modelport.ops.torch_op import use_references

Trial = dict[str, Operator]


def numbers(dtype: str, shape: Sequence[int] = (3, 5)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    whole = torch.randint(0, 120, tuple(shape), generator=generator)
    return (whole % 2 == 1) if dtype == "bool" else whole.to(getattr(torch, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type(trial: Trial, dtype: str) -> None:
    x = numbers(dtype)
    doubled = x.double().numpy() * 2
    if dtype == "bool":
        doubled = x.double().numpy()
    if dtype in ("int8", "uint8"):
        doubled = doubled.astype(np.int64).astype(dtype)  # wraps around
    found = trial["twice"](x)
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found.double().numpy(), doubled)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_round_as_pytorch_does(trial: Trial, dtype: str) -> None:
    # All 65536 of them: subnormal numbers, infinities and NaN as well.
    x = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(getattr(torch, dtype))
    found, wanted = trial["twice"](x), x * 2
    assert torch.equal(found.isnan(), wanted.isnan())
    assert torch.equal(found[~wanted.isnan()], wanted[~wanted.isnan()])


@pytest.mark.parametrize(
    "x",
    [
        torch.arange(24.0).reshape(4, 6)[::2, 1::3],
        torch.arange(24.0).reshape(4, 6).T,
        torch.arange(6.0).expand(4, 6),
        torch.complex(torch.ones(3), torch.arange(3.0)).conj().imag,  # negated when it is read
        torch.empty(0),
        torch.empty(3, 0, 2),
        torch.tensor(2.5),
    ],
    ids=["strided", "transposed", "expanded", "negated", "empty", "empty inside", "scalar"],
)
def test_any_layout(trial: Trial, x: torch.Tensor) -> None:
    found = trial["twice"](x)
    assert torch.equal(found, x * 2)
    assert found.shape == x.shape


@pytest.mark.parametrize("given", range(8))
def test_optional_inputs(trial: Trial, given: int) -> None:
    a, b, c = torch.rand(4), torch.arange(4, dtype=torch.int32), torch.rand(4, dtype=torch.float64)
    d, e = torch.arange(4, dtype=torch.uint8), torch.arange(4) * 10
    b, d, e = (item if given >> bit & 1 else None for bit, item in enumerate((b, d, e)))
    total = a.double().numpy() + c.numpy()
    for item in (b, d, e):
        total = total + (0 if item is None else item.double().numpy())
    values, there = trial["pick"](a, b, c, d, e)
    np.testing.assert_allclose(values.numpy(), total, rtol=1e-6)
    assert there.tolist() == [1, b is not None, 1, d is not None, e is not None]
    if e is None:
        assert torch.equal(trial["pick"](a, b, c, d)[0], values)
    if e is None and d is None:
        assert torch.equal(torch.ops.trial.pick(a, b, c)[0], values)


def test_any_number_of_inputs(trial: Trial) -> None:
    parts = [torch.rand(2, 3), torch.rand(4), torch.empty(0), torch.rand(1).squeeze()]
    for count in range(len(parts) + 1):
        found = trial["joined"](torch.ones(2), parts[:count])
        wanted = np.concatenate([np.ones(2), *(item.flatten() for item in parts[:count])])
        np.testing.assert_array_equal(found.numpy(), wanted.astype(np.float32))


def spelled(*texts: str) -> list[float]:
    return [number for text in texts for number in (len(text.encode()), *text.encode())]


def test_every_kind_of_attribute(trial: Trial) -> None:
    x = torch.ones(1)
    found = trial["echo"](
        x,
        whole=-(2**60),
        wholes=[3, -(2**40)],
        real=1e-3,
        flag=False,
        text="naïve",
        reals=[1e300],
        texts=["", "\n"],
    )
    wanted = [-(2**60), 3, -(2**40), 1e-3, 0, *spelled("naïve", "", "\n"), 1e300]
    assert found.tolist() == [float(item) for item in wanted]


def test_defaults_of_every_kind(trial: Trial) -> None:
    found = torch.ops.trial.echo(torch.ones(1), whole=7, wholes=[])
    wanted = [7, 0.5, 1, *spelled('say "no\\yes"', "a", "", "bcd"), 0.25, -1.5]
    assert found.tolist() == [float(item) for item in wanted]
    with use_references():
        assert torch.equal(torch.ops.trial.echo(torch.ones(1), whole=7, wholes=[]), found)


def test_sizes_that_values_decide(trial: Trial) -> None:
    values, places = trial["positive"](torch.tensor([-1.0, 3.0, 0.0, 2.0]))
    assert (values.tolist(), places.tolist()) == ([3.0, 2.0], [1, 3])
    values, places = trial["positive"](-torch.ones(3))
    assert (values.shape, places.shape) == ((0,), (0,))
    # The same shape again: other sizes.
    assert trial["positive"](torch.ones(3))[0].shape == (3,)


def test_threads(trial: Trial) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found = trial["workers"](torch.zeros(16))
            assert len(found.unique()) == threads
    finally:
        torch.set_num_threads(before)


def test_error_in_a_worker(trial: Trial) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for place in (0, 9, 15):
            with pytest.raises(OperatorError, match="trial::workers failed") as caught:
                trial["workers"](torch.zeros(16), fails_at=place)
            assert caught.value.why == f"element {place} was to fail"
        assert (trial["workers"](torch.zeros(16)) > 0).all()
    finally:
        torch.set_num_threads(before)


def test_from_many_threads(trial: Trial) -> None:
    wrong: list[Any] = []

    def work(seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for size in range(40):
            x = torch.rand(50 * size, generator=generator)
            if not torch.equal(trial["twice"](x), x * 2):
                wrong.append((seed, size))
            if trial["positive"](x - 0.5)[0].shape[0] != int((x > 0.5).sum()):
                wrong.append((seed, size))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_references_in_place_of_kernels(trial: Trial) -> None:
    x = torch.tensor([1.0, 2.0])
    elsewhere: list[torch.Tensor] = []
    with use_references():
        assert trial["marked"](x, factor=2.0).tolist() == [102.0, 104.0]
        with use_references():
            pass
        assert trial["marked"](x).tolist() == [101.0, 102.0]
        thread = threading.Thread(target=lambda: elsewhere.append(trial["marked"](x)))
        thread.start()
        thread.join()
    assert trial["marked"](x, factor=2.0).tolist() == [3.0, 5.0]
    assert elsewhere[0].tolist() == [2.0, 3.0]


def test_last_inputs_that_are_left_out(trial: Trial) -> None:
    # PyTorch does not pass them on: to the rule, the reference and the formula they are None.
    pick = trial["pick"]
    rule, reference = pick.shape_rule, pick.reference
    assert rule is not None
    seen: list[int] = []

    def counting(*inputs: Any) -> Any:
        seen.append(len(inputs))
        return rule(*inputs)

    a, c = torch.ones(2), torch.ones(2, dtype=torch.float64)
    pick.shapes(counting)
    pick.reference = lambda a, b, c, d, e: reference(a, b, c, d, e)
    try:
        pick(a, None, c)
        pick(a.to("meta"), None, c.to("meta"))
        with use_references():
            assert pick(a, None, c)[1].tolist() == [1, 0, 1, 0, 0]
    finally:
        pick.shapes(rule)
        pick.reference = reference
    assert seen == [5, 5]


def test_gradient_where_the_last_input_is_left_out() -> None:
    @modelport.operator("declared::shifted")
    def shifted(x: torch.Tensor, by: torch.Tensor | None) -> torch.Tensor:
        return x * 2 if by is None else x * 2 + by

    @shifted.shapes
    def _(x: Any, by: Any) -> Any:
        return x

    @shifted.backward
    def _(gradient: Any, x: Any, by: Any) -> Any:
        return gradient * 2, None if by is None else gradient

    x, by = (torch.rand(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(shifted, (x,))
    assert torch.autograd.gradcheck(shifted, (x, by))


def test_gradients(trial: Trial) -> None:
    a, b = (torch.rand(3, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda *x: trial["blend"](*x, share=0.3), (a, b))
    assert torch.autograd.gradcheck(lambda x: trial["blend"](x, b.detach()), (a,))
    with torch.no_grad():
        assert not trial["blend"](a, b).requires_grad
    trial["blend"](a, b).sum().backward()
    assert torch.equal(a.grad, b.detach() * 0.5)


@pytest.mark.parametrize("name", ["blend", "twice"])
def test_opcheck(trial: Trial, name: str) -> None:
    x, y = torch.rand(3, 4, requires_grad=name == "blend"), torch.rand(3, 4)
    eager = trial[name].eager
    assert eager is not None
    torch.library.opcheck(eager.overload, (x, y) if name == "blend" else (x,))


def test_compiled(trial: Trial) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        values, _ = torch.ops.trial.positive(torch.ops.tinted.blend(x, x, share=0.25))
        return torch.ops.trial.twice(values) + 1

    torch._dynamo.config.capture_dynamic_output_shape_ops = True
    try:
        compiled = torch.compile(function, backend="aot_eager", fullgraph=True, dynamic=True)
        for size in (3, 8):
            x = torch.linspace(-2, 2, size)
            assert torch.equal(compiled(x), function(x))
    finally:
        torch._dynamo.config.capture_dynamic_output_shape_ops = False
        torch._dynamo.reset()


def test_compiled_gradient(trial: Trial) -> None:
    compiled = torch.compile(lambda x: trial["blend"](x, x) * 2, backend="aot_eager")
    x = torch.rand(4, requires_grad=True)
    (found,) = torch.autograd.grad(compiled(x).sum(), x)
    torch._dynamo.reset()
    assert torch.allclose(found, 2 * (x.detach() + 1))  # of 2 (x x / 2 + x)


def test_element_type_without_a_kernel(trial: Trial) -> None:
    with pytest.raises(OperatorError, match=r"no cpu kernel for \(float16, float16\)") as caught:
        trial["blend"](torch.ones(2).half(), torch.ones(2).half())
    assert "(float32, float32) or (float64, float64)" in str(caught.value.why)
    with pytest.raises(OperatorError, match=r"no cpu kernel for \(complex64\)"):
        trial["twice"](torch.ones(2, dtype=torch.complex64))


def test_what_the_kernel_refuses(trial: Trial) -> None:
    with pytest.raises(OperatorError) as caught:
        trial["blend"](torch.ones(2), torch.ones(3))
    assert caught.value.why == "a has shape [2], b has shape [3]"
    with pytest.raises(OperatorError, match=r"rank 2 \[2, 2\]; the kernel takes rank 1"):
        trial["positive"](torch.ones(2, 2))
    with pytest.raises(OperatorError, match="kernels take at most 8"):
        trial["twice"](torch.ones([1] * 9))


def test_missing_attribute(trial: Trial) -> None:
    with pytest.raises(RuntimeError, match="missing value for argument 'whole'"):
        trial["echo"](torch.ones(1), wholes=[1])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            lambda x, factor: x.like([*x.shape, 1]),
            "the shape rule says [2, 7, 1], the kernel gives",
        ),
        (
            lambda x, factor: x.like(dtype="int32"),
            "the shape rule says int32, the kernel gives float",
        ),
        (lambda x, factor: (x, x), "gives 2 outputs"),
    ],
)
def test_shape_rule_that_contradicts_the_kernel(trial: Trial, rule: Any, said: str) -> None:
    declared = trial["marked"].shape_rule
    assert declared is not None
    trial["marked"].shapes(rule)
    try:
        with pytest.raises(OperatorError) as caught:
            trial["marked"](torch.ones(2, 7))
        assert said in str(caught.value)
    finally:
        trial["marked"].shapes(declared)
    assert trial["marked"](torch.ones(2, 7)).shape == (2, 7)
