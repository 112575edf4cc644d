"""Integers are drawn over what a graph accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper

import modelport
from modelport.ir.integer_ranges import accepted_integers

TABLE = np.random.default_rng(0).random((100, 2), np.float32)
NUMBERS = {
    "one": np.array([1], np.int64),
    "two": np.array(2, np.int64),
    "last": np.array(99, np.int64),
    "depth": np.array(7, np.int64),
    "zero": np.array([0], np.int64),
    "off_on": np.array([0, 1], np.float32),
    "image": np.zeros((3, 5, 8), np.float32),
}
Nodes = list[onnx.NodeProto]


def node(kind: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def saved(
    path: Path, nodes: Nodes, table: np.ndarray = TABLE, sizes: Any = ("n",), shape: Any = None
) -> Path:
    """A graph of integers ``ids``, with a table of 100 rows and a few constants."""
    tables = {"table": table, **NUMBERS}
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, sizes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(array, name) for name, array in tables.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=10), path)
    return path


EMBEDDED = node("Gather", "table moved", "y")
CHAINS: dict[str, tuple[Nodes, tuple[int, int] | None]] = {
    "rows": ([node("Gather", "table ids", "y")], (0, 99)),
    "columns": ([node("Gather", "table ids", "y", axis=1)], (0, 1)),
    "converted and reshaped": (
        [
            node("Cast", "ids", "narrow", to=TensorProto.INT32),
            node("Unsqueeze", "narrow one", "moved"),
            EMBEDDED,
        ],
        (0, 99),
    ),
    "moved up": ([node("Add", "ids two", "moved"), EMBEDDED], (-2, 97)),
    "moved down": ([node("Sub", "ids two", "moved"), EMBEDDED], (2, 101)),
    "from the end": ([node("Sub", "last ids", "moved"), EMBEDDED], (0, 99)),
    "doubled": ([node("Mul", "ids two", "moved"), EMBEDDED], (0, 49)),
    "hashed": ([node("Mod", "ids depth", "moved"), EMBEDDED], (0, 6)),
    "one hot": ([node("OneHot", "ids depth off_on", "y")], (0, 6)),
    "both": (
        [
            node("OneHot", "ids depth off_on", "hot"),
            node("Gather", "table ids", "rows"),
            node("ReduceSum", "hot", "sum", keepdims=0),
            node("Add", "rows sum", "y"),
        ],
        (0, 6),
    ),
    "converted table": (
        [
            node("Cast", "table", "half", to=TensorProto.FLOAT16),
            node("Gather", "half ids", "rows"),
            node("Cast", "rows", "y", to=TensorProto.FLOAT),
        ],
        (0, 99),
    ),
    "nothing": ([node("Cast", "ids", "y", to=TensorProto.FLOAT)], None),
}


@pytest.mark.parametrize(("nodes", "expected"), CHAINS.values(), ids=CHAINS)
def test_accepted_range(tmp_path: Path, nodes: Nodes, expected: tuple[int, int] | None) -> None:
    ir = onnx_ir.load(saved(tmp_path / "m.onnx", nodes))
    assert accepted_integers(ir) == ({} if expected is None else {"ids": expected})


def test_bounds_of_a_slice(tmp_path: Path) -> None:
    for index, expected in ((1, (0, 4)), (2, (1, 5))):
        names = "image ids zero one" if index == 1 else "image zero ids one"
        path = saved(tmp_path / "m.onnx", [node("Slice", names, "y")], sizes=[1])
        assert accepted_integers(onnx_ir.load(path)) == {"ids": expected}


def test_function_of_the_model_is_followed(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", [node("Rows", "table ids", "y", domain="mine")])
    proto = onnx.load(path)
    opsets = [helper.make_opsetid("", 18)]
    rows = helper.make_function(
        "mine", "Rows", ["t", "i"], ["o"], [node("OneHot", "i seven off", "o")], opsets
    )
    inner = [
        helper.make_node("Constant", [], ["seven"], value_int=7),
        helper.make_node("Constant", [], ["off"], value_floats=[0.0, 1.0]),
    ]
    del rows.node[:]
    rows.node.extend([*inner, node("OneHot", "i seven off", "o")])
    proto.functions.append(rows)
    proto.opset_import.append(helper.make_opsetid("mine", 1))
    onnx.save(proto, path)
    assert accepted_integers(onnx_ir.load(path)) == {"ids": (0, 6)}


@pytest.mark.parametrize(
    "chain", ["rows", "converted and reshaped", "moved up", "from the end", "converted table"]
)
def test_wrong_rows_of_an_embedding_are_found(tmp_path: Path, chain: str) -> None:
    nodes = CHAINS[chain][0]
    wrong = TABLE.copy()
    wrong[4:] += 0.5
    reference = saved(tmp_path / "reference.onnx", nodes)
    candidate = saved(tmp_path / "candidate.onnx", nodes, wrong)
    assert modelport.compare(reference, reference).ok
    assert not modelport.compare(reference, candidate).ok


def test_bundle_is_verified_on_every_part_of_a_table(tmp_path: Path) -> None:
    """The engine of one file beside another one, whose rows but two are wrong."""
    nodes = CHAINS["converted and reshaped"][0]
    wrong = TABLE.copy()
    wrong[2:] += 0.5
    right = saved(tmp_path / "right.onnx", nodes, shape=("n", 1, 2))
    modelport.deploy(
        saved(tmp_path / "m.onnx", nodes, wrong, shape=("n", 1, 2)), tmp_path / "m.port"
    )
    (found,) = modelport.verify(tmp_path / "m.port", against=str(right)).values()
    assert not found.ok
