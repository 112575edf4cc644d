from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest

import modelport
from modelport import Dim, Model, UsageError
from modelport import model as model_module
from modelport.model import DIMS_KEY
from modelport.signature import TensorSpec
from tests.support import onnx_text

GRAPH = """
g (float[N, 3] x, int64[K] i, string[2] s, bfloat16 b) => (float[N, M] y, int64[K] j, string[2] t)
<float[3, 2] w = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}>
{ y = MatMul(x, w) j = Identity(i) t = Identity(s) }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return onnx_text(tmp_path / "model.onnx", GRAPH)


def test_signature_reads_names_dtypes_and_shapes_without_initializers(path: Path) -> None:
    signature = Model.load(path).signature
    assert signature.inputs == (
        TensorSpec("x", "float32", ("N", 3)),
        TensorSpec("i", "int64", ("K",)),
        TensorSpec("s", "str", (2,)),
        TensorSpec("b", "bfloat16", ()),
    )
    assert [spec.name for spec in signature.outputs] == ["y", "j", "t"]


def test_initializer_listed_as_an_input_is_none(path: Path, tmp_path: Path) -> None:
    proto = onnx.load(path)
    proto.graph.input.append(onnx.helper.make_tensor_value_info("w", 1, [3, 2]))
    onnx.save(proto, tmp_path / "old.onnx")
    names = [spec.name for spec in Model.load(tmp_path / "old.onnx").signature.inputs]
    assert names == ["x", "i", "s", "b"]


def test_dimension_without_a_name_gets_one_of_its_place(path: Path, tmp_path: Path) -> None:
    proto = onnx.load(path)
    proto.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    onnx.save(proto, tmp_path / "anonymous.onnx")
    assert Model.load(tmp_path / "anonymous.onnx").signature.inputs[0].shape == ("x_0", 3)


def test_opset_and_weight_bytes(path: Path) -> None:
    model = Model.load(path)
    assert model.opset == 18
    assert model.weight_bytes == 3 * 2 * 4


def test_saved_ranges_come_back(path: Path, tmp_path: Path) -> None:
    model = Model.load(path)
    model.dims = {"N": Dim("N", 2, 8), "K": Dim("K")}
    assert model.save(tmp_path / "saved.onnx") == tmp_path / "saved.onnx"
    loaded = Model.load(tmp_path / "saved.onnx")
    assert loaded.dims == model.dims
    assert loaded.signature == model.signature
    kept = {entry.key: entry.value for entry in onnx.load(tmp_path / "saved.onnx").metadata_props}
    assert json.loads(kept[DIMS_KEY])["N"] == {"min": 2, "max": 8}


def test_saving_leaves_nothing_else_in_the_folder(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    Model.load(path).save(folder / "m.onnx")
    assert [entry.name for entry in folder.iterdir()] == ["m.onnx"]


def test_large_weights_go_to_a_file_beside(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_module, "EXTERNAL_DATA_THRESHOLD", 16)
    folder = tmp_path / "out"
    folder.mkdir()
    model = Model.load(path)
    wanted = np.random.default_rng(0).random((3, 2000), np.float32)
    model.ir.graph.initializers["w"].const_value = onnx_ir.tensor(wanted, name="w")
    model.save(folder / "m.onnx")
    assert {entry.name for entry in folder.iterdir()} == {"m.onnx", "m.onnx.data"}
    tensor = onnx_ir.load(folder / "m.onnx").graph.initializers["w"].const_value
    assert isinstance(tensor, onnx_ir.ExternalTensor)
    np.testing.assert_array_equal(tensor.numpy(), wanted)


def test_saving_into_a_missing_folder_is_a_usage_error(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        Model.load(path).save(tmp_path / "nowhere" / "m.onnx")


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        Model.load(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"\xff" * 64, b"this is text, no model", b""])
def test_unreadable_file_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(UsageError, match="not a readable ONNX model"):
        Model.load(tmp_path / "bad.onnx")


def test_truncated_file_is_a_usage_error(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UsageError, match="not a readable ONNX model"):
        Model.load(path)


@pytest.mark.parametrize("text", ["no json", "[1]", '{"N": 3}', '{"N": {"min": 5, "max": 2}}'])
def test_unreadable_ranges_are_a_usage_error(path: Path, text: str) -> None:
    proto = onnx.load(path)
    proto.metadata_props.add(key=DIMS_KEY, value=text)
    onnx.save(proto, path)
    with pytest.raises(UsageError):
        Model.load(path)


def test_public_name_is_the_class() -> None:
    assert modelport.Model is Model


def test_a_graph_without_a_form_in_onnx_is_refused(path: Path, tmp_path: Path) -> None:
    model = Model.load(path)
    node = next(iter(model.ir.graph))
    node.attributes["odd"] = onnx_ir.Attr("odd", onnx_ir.AttributeType.STRING, 5)
    with pytest.raises(UsageError, match="ONNX cannot hold"):
        model.save(tmp_path / "odd.onnx")
    assert not list(tmp_path.glob("*odd*"))


def test_saving_changes_nothing_of_the_model(tmp_path: Path) -> None:
    import onnx_ir

    first = modelport.Model.load(
        onnx_text(tmp_path / "m.onnx", "g (float[N] x) => (float[N] y) <float w = {2.0}> "
                  "{ y = Mul(x, w) }")
    )  # fmt: skip
    first.dims = {"N": modelport.Dim("N", 1, 4)}
    onnx_ir.save(first.ir, tmp_path / "outside.onnx", external_data="outside.data",
                 size_threshold_bytes=0)  # fmt: skip
    model = modelport.Model.load(tmp_path / "outside.onnx")
    model.dims = first.dims
    weight = model.ir.graph.initializers["w"]
    tensor, metadata = weight.const_value, dict(model.ir.metadata_props)
    assert isinstance(tensor, onnx_ir.ExternalTensor)
    before = onnx_ir.to_proto(model.ir).SerializeToString()
    (tmp_path / "elsewhere").mkdir()
    saved = model.save(tmp_path / "elsewhere" / "m.onnx")
    assert weight.const_value is tensor
    assert dict(model.ir.metadata_props) == metadata
    assert onnx_ir.to_proto(model.ir).SerializeToString() == before
    again = modelport.Model.load(saved)
    assert again.dims == model.dims
    value = again.ir.graph.initializers["w"].const_value
    assert value is not None
    assert value.numpy().tolist() == tensor.numpy().tolist()
