"""Row M4: what a PyTorch operator maps to, and which versions an ONNX operator has.

The example: asinh, bicubic interpolation (opset 11 first), Asinh since 9.
"""

import argparse
import json

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from modelport.capture.support.aten import describe_aten
from modelport.capture.support.search import find_aten
from modelport.cli import ops
from modelport.ops.catalog import describe, find


def test_asinh_is_declared_implemented_and_mapped() -> None:
    asinh = describe_aten("asinh")
    declared = {declaration.python_name: declaration for declaration in asinh.declared}
    assert declared["torch.asinh"].place.startswith("torch/_C/_VariableFunctions.pyi:")
    assert declared["torch.asinh"].text.startswith("def asinh(input: Tensor")
    assert "aten::asinh(Tensor self) -> Tensor" in asinh.signatures
    kernels = {name: keys.split(", ") for keys, name in asinh.native[-1].kernels}
    # Later versions of torch name more devices.
    assert kernels["asinh_out"][:2] == ["CPU", "CUDA"]
    (mapping,) = asinh.mapped_by("dynamo")
    assert [(use.name, use.since) for use in mapping.onnx] == [("Asinh", 9)]
    assert asinh.mapped_by("torchscript") == (), "the mapping that is missing, and is said to be"


def test_asinh_of_onnx_since_9() -> None:
    asinh = describe("Asinh")
    assert asinh.since == 9
    assert [version.since for version in asinh.versions] == [9, 22]
    assert asinh.at(18).kernels, "ONNX Runtime runs it"


def test_the_lookup_is_right_about_what_runs() -> None:
    node = helper.make_node("Asinh", ["x"], ["y"])
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy")
    graph = helper.make_graph([node], "asinh", [x], [y])
    opset = helper.make_opsetid("", describe("Asinh").since)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=4)
    values = np.array([-2.0, 0.0, 3.0], np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (result,) = session.run(None, {"x": values})
    np.testing.assert_allclose(result, torch.asinh(torch.from_numpy(values)).numpy(), rtol=1e-6)


def test_bicubic_interpolation_is_possible_from_opset_11() -> None:
    assert {match.name: match.since for match in find("bicubic")}["Resize"] == 11
    mapped = {match.name: match.since for match in find_aten("bicubic")}
    assert mapped["aten::upsample_bicubic2d"] == 11
    eleven = next(version for version in describe("Resize").versions if version.since == 11)
    assert "attribute mode adds cubic" in eleven.changes


@pytest.mark.parametrize("opset", [10, 11])
def test_the_old_exporter_agrees(opset: int, tmp_path) -> None:
    class Bicubic(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic")

    args = (torch.ones(1, 1, 4, 4),)
    options = {"dynamo": False, "opset_version": opset}
    if opset >= 11:
        torch.onnx.export(Bicubic(), args, tmp_path / "m.onnx", **options)
        return
    with pytest.raises(torch.onnx.errors.UnsupportedOperatorError, match="added in version 11"):
        torch.onnx.export(Bicubic(), args, tmp_path / "m.onnx", **options)


@pytest.mark.parametrize("words", [["info", "asinh"], ["info", "Asinh"], ["find", "bicubic"]])
def test_from_the_command_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser("modelport")
    ops.add(parser.add_subparsers(required=True))
    args = parser.parse_args(["ops", *words, "--json"])
    assert args.run(args) == 0
    assert json.loads(capsys.readouterr().out)
