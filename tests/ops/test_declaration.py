from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import modelport
from modelport import Operator, OperatorError, TensorInfo
from modelport.ops import registry
from modelport.ops.declaration import DTYPES
from modelport.ops.shapes import DATA_DEPENDENT


def declare(name: str, **options: Any) -> Operator:
    def reference(x: Tensor, *, k: int = 1) -> Tensor:
        """x, k times."""
        return x * k

    return modelport.operator(name, **options)(reference)


def test_calling_it_calls_the_operator_of_pytorch() -> None:
    operator = declare("declared::plain")
    x = torch.tensor([1.0, 2.0])
    assert torch.equal(operator(x, k=3), torch.tensor([3.0, 6.0]))
    assert torch.equal(torch.ops.declared.plain(x, k=3), torch.tensor([3.0, 6.0]))
    assert registry.find("declared::plain") is operator
    assert not operator.is_runnable


def test_declared_again_it_is_replaced() -> None:
    first = declare("declared::again")
    second = declare("declared::again")
    assert registry.find("declared::again") is second is not first
    assert torch.equal(second(torch.ones(1)), torch.ones(1))


def test_declared_twice_with_other_signatures() -> None:
    known = declare("declared::twice")

    def reference(x: Tensor, *, k: float) -> Tensor: ...

    with pytest.raises(OperatorError, match="declared twice, with different signatures"):
        modelport.operator("declared::twice")(reference)
    # What was there still works.
    assert registry.find("declared::twice") is known
    assert torch.equal(known(torch.ones(1), k=2), torch.full((1,), 2.0))


def test_name_that_pytorch_has() -> None:
    def reference(x: Tensor) -> Tensor: ...

    with pytest.raises(OperatorError, match="does not take the operator aten::relu") as caught:
        modelport.operator("aten::relu")(reference)
    assert caught.value.why
    assert registry.find("aten::relu") is None


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["absent.cpp"], "absent.cpp does not exist"),
        (["kernel.txt"], "kernel.txt is not a kernel file"),
        (["a/kernel.cpp", "b/kernel.cpp"], "second one for its device"),
    ],
)
def test_kernel_files(files: list[str], said: str, tmp_path: Path) -> None:
    source = tmp_path / "op.py"
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "kernel.cpp").touch()
    source.write_text(
        "import modelport\nfrom torch import Tensor\n"
        f"@modelport.operator('declared::files', kernels={files})\n"
        "def files(x: Tensor) -> Tensor: ...\n"
    )
    with pytest.raises(OperatorError, match=said):
        exec(compile(source.read_text(), str(source), "exec"), {})
    assert registry.find("declared::files") is None


def test_element_type_that_kernels_cannot_have() -> None:
    with pytest.raises(OperatorError, match="complex64") as caught:
        declare("declared::complex", dtypes=["float32", "complex64"])
    assert "bfloat16" in str(caught.value.fix)


def test_instances_are_the_product_of_element_types() -> None:
    operator = declare("declared::product", dtypes=[["float32", "bool"], ["int8", "bfloat16"]])
    assert operator.instances() == [
        *("product<float, int8_t>", "product<float, modelport::bfloat16>"),
        *("product<bool, int8_t>", "product<bool, modelport::bfloat16>"),
    ]
    assert len(declare("declared::all", dtypes=DTYPES).instances()) == len(DTYPES) == 9


def test_shape_rule() -> None:
    operator = declare("declared::ruled")
    given = TensorInfo([2, 3], "float32")
    with pytest.raises(OperatorError, match="has no shape rule"):
        operator.infer([given], {"k": 1})
    operator.shapes(lambda x, *, k: x.like([x.shape[0] * k, DATA_DEPENDENT], "int8"))
    assert str(operator.infer([given], {"k": 4})) == "[int8[8, DATA_DEPENDENT]]"
    operator.shapes(lambda x, *, k: (x, x))
    with pytest.raises(OperatorError, match="gives 2 outputs"):
        operator.infer([given], {"k": 1})


def test_shape_rule_that_says_no_tensor_info() -> None:
    operator = declare("declared::unruly")
    operator.shapes(lambda x, *, k: x.shape)  # type: ignore[arg-type, return-value]
    with pytest.raises(OperatorError, match="shape rule of declared::unruly"):
        operator.infer([TensorInfo([2], "float32")], {"k": 1})
    operator.shapes(lambda x, *, k: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(OperatorError, match="shape rule of declared::unruly"):
        operator.infer([TensorInfo([2], "float32")], {"k": 1})
    operator.shapes(lambda x, *, k: x.like(dtype="float"))
    with pytest.raises(OperatorError, match=r"float\[2\]"):
        operator.infer([TensorInfo([2], "float32")], {"k": 1})
