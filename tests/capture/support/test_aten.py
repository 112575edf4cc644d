"""What is said of PyTorch operators, against the installed torch itself."""

import json
import re
from pathlib import Path

import pytest
import torch

from modelport import UsageError
from modelport.capture.support.aten import describe_aten
from modelport.capture.support.declarations import site
from modelport.capture.support.search import find_aten


def line_at(place: str) -> str:
    file, _, line = place.rpartition(":")
    return (site() / file).read_text().splitlines()[int(line) - 1]


def test_places_point_at_the_declarations() -> None:
    operator = describe_aten("asinh")
    for declaration in operator.declared:
        assert re.match(r"\s*def asinh\(", line_at(declaration.place))
    for native in operator.native:
        assert line_at(native.place).startswith("- func: asinh")
    for mapping in operator.mappings:
        assert line_at(mapping.place).startswith("def aten_asinh(")


def test_asinh_maps_to_asinh_in_the_new_exporter_only() -> None:
    operator = describe_aten("asinh")
    (mapping,) = operator.mapped_by("dynamo")
    assert [(use.name, use.since) for use in mapping.onnx] == [("Asinh", 9)]
    assert mapping.since == 18
    assert operator.mapped_by("torchscript") == ()
    assert operator.status == "mapped"


def test_the_old_exporter_really_lacks_asinh(tmp_path: Path) -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.asinh(x)

    with pytest.raises(torch.onnx.errors.UnsupportedOperatorError, match="asinh"):
        torch.onnx.export(Model(), (torch.ones(2),), tmp_path / "m.onnx", dynamo=False)


def test_user_symbolics_are_seen() -> None:
    def asinh(g, x):
        return g.op("Asinh", x)

    torch.onnx.register_custom_op_symbolic("aten::asinh", asinh, 9)
    try:
        (mapping,) = describe_aten("asinh").mapped_by("torchscript")
    finally:
        torch.onnx.unregister_custom_op_symbolic("aten::asinh", 9)
    assert mapping.custom
    assert mapping.since == 9
    assert mapping.place.endswith(f":{asinh.__code__.co_firstlineno}")
    assert [use.name for use in mapping.onnx] == ["Asinh"]


def test_bicubic_upsampling_in_both_exporters() -> None:
    operator = describe_aten("aten::upsample_bicubic2d")
    (old,) = operator.mapped_by("torchscript")
    assert old.since == 11
    assert '"aten::upsample_bicubic2d"' in line_at(old.place)
    assert "symbolic_opset11.py" in old.place
    assert "Resize" in [use.name for use in old.onnx]
    assert {mapping.operator for mapping in operator.mapped_by("dynamo")} == {
        "aten::upsample_bicubic2d",
        "aten::upsample_bicubic2d.vec",
    }


def test_a_mapping_with_versions() -> None:
    gelu = describe_aten("torch.nn.functional.gelu")
    assert [m.since for m in gelu.mapped_by("dynamo")] == [18, 20]
    assert [m.since for m in gelu.mapped_by("torchscript")] == [9, 20]
    assert [use.name for use in gelu.mapped_by("dynamo")[1].onnx] == ["Gelu"]


@pytest.mark.parametrize(
    ("written", "name", "python_name"),
    [
        ("torch.linalg.svd", "aten::linalg_svd", "torch.linalg.svd"),
        ("torch.special.i0", "aten::special_i0", "torch.special.i0"),
        ("torch.fft.fft", "aten::fft_fft", "torch.fft.fft"),
        ("Tensor.asinh", "aten::asinh", "torch.Tensor.asinh"),
        ("aten::add.Tensor", "aten::add", "torch.add"),
        ("F.gelu", "aten::gelu", "torch._C._nn.gelu"),
    ],
)
def test_ways_to_write_a_name(written: str, name: str, python_name: str) -> None:
    operator = describe_aten(written)
    assert operator.name == name
    assert python_name in [declaration.python_name for declaration in operator.declared]


def test_signatures_are_torchs_own() -> None:
    operator = describe_aten("torch.linalg.svd")
    assert str(torch.ops.aten.linalg_svd.default._schema) in operator.signatures
    assert "CompositeImplicitAutograd" in operator.registered
    assert operator.mappings == ()
    assert operator.status == "decomposed"


def test_operator_without_any_mapping() -> None:
    operator = describe_aten("aten::_linalg_svd")
    assert operator.mappings == ()
    assert operator.status == "missing"


def test_python_function_names_what_it_calls() -> None:
    operator = describe_aten("torch.nn.functional.interpolate")
    assert operator.status == "composed"
    assert "aten::upsample_bicubic2d" in operator.calls
    assert "def interpolate" in line_at(operator.declared[0].place)
    assert {mapping.operator for mapping in operator.mappings} == {"aten::__interpolate"}


def test_operator_of_a_library_that_is_not_installed() -> None:
    operator = describe_aten("torchvision::nms")
    assert "NonMaxSuppression" in [use.name for m in operator.mappings for use in m.onnx]


def test_unknown_operator() -> None:
    with pytest.raises(UsageError, match="no operator 'nosuch'"):
        describe_aten("nosuch")


def test_json_is_plain() -> None:
    assert json.loads(json.dumps(describe_aten("asinh").to_json()))["status"] == "mapped"


def test_find_bicubic() -> None:
    found = {match.name: match.since for match in find_aten("bicubic")}
    assert found["aten::upsample_bicubic2d"] == 11
    assert found["torch.nn.functional.interpolate"] == 11
    assert found["torch.nn.functional.grid_sample"] == 16
    assert not [name for name in found if "backward" in name]


def test_find_what_has_no_mapping() -> None:
    match = next(match for match in find_aten("linalg_svd") if match.name == "aten::linalg_svd")
    assert match.since is None
    assert "no ONNX mapping" in match.reasons[0].text


def test_nothing_to_search_for() -> None:
    with pytest.raises(UsageError, match="nothing to search"):
        find_aten("")
