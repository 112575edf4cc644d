"""The support table, against what torch.onnx.export itself writes and refuses."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from modelport import ExportError, UsageError
from modelport.capture.support.aten import mappings
from modelport.capture.support.survey import Status, SupportTable, operator_support
from modelport.capture.torch_private import operators as private
from modelport.capture.torch_private.registries import registry_for


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.LayerNorm(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.gelu(self.norm(self.conv(x)))
        return torch.asinh(y).mean((2, 3)) + y.amax((2, 3))


class Unsupported(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        u, s, _ = torch.linalg.svd(x)
        mantissa, exponent = torch.frexp(s)
        return u, torch.special.i0(s) + torch.relu(s), mantissa, exponent


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: x.asinh(), lambda x: torch.special.i0(x), (x,))


IMAGE = (torch.randn(2, 3, 8, 8),)
MATRIX = (torch.randn(3, 3),)


@pytest.fixture(scope="module")
def small() -> SupportTable:
    return operator_support(Small(), IMAGE)


@pytest.fixture(scope="module")
def unsupported() -> SupportTable:
    return operator_support(Unsupported(), MATRIX)


def written(table: SupportTable) -> Counter[str]:
    uses = (use for row in table.rows for part in row.lowered for use in part.onnx)
    total: Counter[str] = Counter()
    for use in uses:
        total[use.name] += use.count
    return total


@pytest.mark.parametrize("opset", [18, 20])
def test_counts_are_those_of_the_real_export(opset: int) -> None:
    program = torch.onnx.export(
        Small().eval(), IMAGE, dynamo=True, opset_version=opset, optimize=False, verbose=False
    )
    assert program is not None
    real = Counter(node.op_type for node in program.model.graph)
    ours = written(operator_support(Small(), IMAGE, opset=opset))
    for counter in (real, ours):
        counter.pop("Constant", None)
    assert ours == real
    assert ("Gelu" in ours) is (opset >= 20)


def test_rows_of_a_supported_model(small: SupportTable) -> None:
    rows = {row.name: row for row in small.rows}
    assert small.unsupported == ()
    assert small.opset == 18
    asinh = rows["aten::asinh"]
    assert asinh.count == 1
    assert asinh.status is Status.MAPPED
    assert asinh.signature == "aten::asinh(Tensor self) -> Tensor"
    assert asinh.declared.startswith("torch/_C/_VariableFunctions.pyi:")
    assert asinh.used.startswith(str(Path(__file__)))
    (part,) = asinh.lowered
    assert [(use.name, use.count, use.since, use.version) for use in part.onnx] == [
        ("Asinh", 1, 9, 9)
    ]
    assert part.since == 18
    assert part.place == mappings("aten::asinh")[0].place


def test_what_was_written_is_what_the_sources_say(small: SupportTable) -> None:
    for row in small.rows:
        for part in row.lowered:
            candidates = mappings(part.name.partition(".")[0])
            possible = {use.name for m in candidates if m.place == part.place for use in m.onnx}
            assert {use.name for use in part.onnx} - {"Constant"} <= possible, part


def test_all_unsupported_operators_at_once(unsupported: SupportTable) -> None:
    assert [row.name for row in unsupported.unsupported] == [
        "aten::frexp.Tensor",
        "aten::linalg_svd",
        "aten::special_i0",
    ]
    rows = {row.name: row for row in unsupported.rows}
    assert [part.name for part in rows["aten::linalg_svd"].lowered] == ["aten::_linalg_svd"]
    assert [part.name for part in rows["aten::special_i0"].lowered] == ["prims::bessel_i0"]
    assert rows["aten::relu"].status is Status.MAPPED
    assert rows["aten::relu"].lowered[0].onnx[0].name == "Relu"
    advice = rows["aten::linalg_svd"].advice
    assert [text.split(":")[0] for text in advice] == ["symbolic", "decompose", "custom operator"]
    assert 'register_symbolic("aten::linalg_svd", fn)' in advice[0]
    assert not any(name.startswith("modelport.missing") for name in written(unsupported))
    assert list(unsupported.rows[:3]) == list(unsupported.unsupported), "they come first"


def test_torch_refuses_what_is_called_unsupported() -> None:
    with pytest.raises(torch.onnx.errors.OnnxExporterError):
        torch.onnx.export(Unsupported().eval(), MATRIX, dynamo=True, verbose=False)


def test_branches_are_looked_into() -> None:
    table = operator_support(Branch(), MATRIX)
    rows = {row.name: row for row in table.rows}
    assert rows["aten::special_i0"].status is Status.MISSING
    assert rows["aten::asinh"].lowered[0].onnx[0].name == "Asinh"
    assert rows["higher_order::cond"].lowered[0].onnx[0].name == "If"


def test_operator_that_the_opset_does_not_have_yet() -> None:
    table = operator_support(Small(), IMAGE, opset=11)
    row = next(row for row in table.rows if row.name == "aten::layer_norm")
    assert row.status is Status.TOO_NEW
    assert row.advice == ("export with opset 17 or newer",)
    assert "converted down" in table.notes[0]


def test_translation_table_counts() -> None:
    from onnxscript import opset18 as op

    def bessel(x):
        return op.Exp(x)

    table = operator_support(
        Unsupported(), MATRIX, custom_translation_table={torch.ops.aten.special_i0.default: bessel}
    )
    row = next(row for row in table.rows if row.name == "aten::special_i0")
    assert row.status is Status.MAPPED
    assert row.lowered[0].onnx[0].name == "Exp"
    assert row.lowered[0].place.endswith(f":{bessel.__code__.co_firstlineno}")
    again = operator_support(Unsupported(), MATRIX)
    assert "aten::special_i0" in [row.name for row in again.unsupported], "nothing is left behind"


def test_custom_operator_of_torch_library() -> None:
    @torch.library.custom_op("lookup_test::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @twice.register_fake
    def _(x: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(x)

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.lookup_test.twice(x) + 1

    table = operator_support(Model(), MATRIX)
    (row,) = table.unsupported
    assert row.name == "lookup_test::twice"
    assert "Tensor x" in row.signature
    assert [text.split(":")[0] for text in row.advice] == ["symbolic", "custom operator"]


def test_mapping_that_refuses_the_call() -> None:
    """torchlib's attention takes four dimensions only; PyTorch's takes three, too."""

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(nn.functional.scaled_dot_product_attention(x, x, x))

    example = (torch.randn(2, 5, 16),)
    with pytest.raises(torch.onnx.errors.OnnxExporterError):
        torch.onnx.export(Model().eval(), example, dynamo=True, verbose=False)
    table = operator_support(Model(), example)
    (row,) = table.unsupported
    assert row.name == "aten::scaled_dot_product_attention"
    assert row.status is Status.FAILING
    assert "4D" in row.lowered[0].reason
    assert row.lowered[0].reason in row.advice[0]
    assert row.lowered[0].onnx == ()
    assert written(table)["Relu"] == 1, "the others are read all the same"


def test_model_that_does_not_export_is_run() -> None:
    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svdvals(x) if x.sum() > 0 else x

    table = operator_support(Model(), (torch.ones(2, 2),))
    assert "does not export" in table.notes[0]
    assert [row.name for row in table.unsupported] == ["aten::_linalg_svd"]


def test_running_does_not_blame_what_only_eager_pytorch_has() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(4, 4, batch_first=True)
            layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 1)
            self.drop = nn.Dropout()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.drop.train()(self.encoder(self.rnn(x)[0]))
            return torch.linalg.lstsq(y, y).solution  # Has no shape before it runs.

    table = operator_support(Model().eval(), (torch.randn(1, 4, 4),))
    assert "does not export" in table.notes[0]
    assert [row.name for row in table.unsupported] == ["aten::linalg_lstsq"]


def test_model_that_does_not_even_run() -> None:
    with pytest.raises(ExportError, match="neither exports nor runs") as caught:
        operator_support(Small(), MATRIX)
    assert caught.value.__cause__ is not None


def test_exported_programs_and_their_files(tmp_path: Path, unsupported: SupportTable) -> None:
    program = torch.export.export(Unsupported(), MATRIX)
    assert operator_support(program).rows == unsupported.rows
    torch.export.save(program, tmp_path / "m.pt2")
    table = operator_support(tmp_path / "m.pt2")
    assert [row.name for row in table.unsupported] == [row.name for row in unsupported.unsupported]


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="out of range"):
        operator_support(Small(), IMAGE, opset=99)
    with pytest.raises(UsageError, match="no PyTorch operators"):
        operator_support(tmp_path / "m.onnx")
    with pytest.raises(UsageError, match="no PyTorch operators"):
        operator_support(3)  # type: ignore[arg-type]
    (tmp_path / "bad.pt2").write_bytes(b"not a program")
    with pytest.raises(UsageError, match="cannot read"):
        operator_support(tmp_path / "bad.pt2")


def test_json_is_plain(unsupported: SupportTable) -> None:
    data = json.loads(json.dumps(unsupported.to_json()))
    assert data["unsupported"] == ["aten::frexp.Tensor", "aten::linalg_svd", "aten::special_i0"]


def test_private_names_are_where_they_were() -> None:
    """Fails loudly where torch has moved one of the private names that looking up rests on."""
    assert private.torchlib_opset() == 18
    names = {entry.name for entry in private.torchlib_entries()}
    assert {"aten::asinh", "aten::upsample_bicubic2d.vec", "aten::gelu"} <= names
    assert {entry.since for entry in private.torchlib_entries()} >= {18, 20}
    assert 9 in private.symbolic_functions()["aten::atan"]
    assert set(private.symbolic_modules()) >= {9, 11, 20}
    assert private.signatures("aten::asinh")[""] == "aten::asinh(Tensor self) -> Tensor"
    assert "aten::asinh" in private.operator_names()
    assert "RegisterCPU" in private.kernels("aten::asinh")["CPU"]
    assert "aten::linalg_svd" in private.decomposed_names()
    assert len(private.translation_errors()) == 3
    registry = registry_for(18, {})
    assert private.is_mapped(torch.ops.aten.asinh.default, registry)
    program = private.prepared(torch.export.export(Branch(), MATRIX), registry)
    (node,) = [n for n in program.graph.nodes if private.target_name(n.target) == "aten::sum"]
    assert private.mapped_function(node, registry)[1] == 18
    assert node.meta["from_node"][0].target == "aten.sum.default"
    recorded: list[object] = []
    with private.recorded_operators(recorded):
        torch.ones(2).asinh()
    assert torch.ops.aten.asinh.default in recorded


def test_a_moved_name_says_which_torch_was_tested() -> None:
    with pytest.raises(ExportError, match=r"tested with torch 2\.13, 2\.14 or 2\.15 only"):
        private._access("torch.onnx._internal.no_such_module")
    with pytest.raises(ExportError, match=r"has no torch\.no_such_name"):
        private._access("torch", "no_such_name")
