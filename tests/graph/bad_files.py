"""Files that are no sound models, each with a word that its error must have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

VALID = """<ir_version: 10, opset_import: ["" : 18]>
g (float[2, 3] x) => (float[2, 3] y) <float[3] w = {1.0, 2.0, 3.0}> { a = Mul(x, w) y = Relu(a) }"""


def valid() -> onnx.ModelProto:
    return onnx.parser.parse_model(VALID)


def _saved(path: Path, model: onnx.ModelProto) -> None:
    path.write_bytes(model.SerializeToString())


def _truncated(path: Path) -> None:
    path.write_bytes(valid().SerializeToString()[:-25])


def _cyclic(path: Path) -> None:
    model = valid()
    model.graph.node[0].input[0] = "b"
    model.graph.node.insert(1, helper.make_node("Neg", ["a"], ["b"], name="back"))
    _saved(path, model)


def _self(path: Path) -> None:
    model = valid()
    model.graph.node[0].input[0] = "a"
    _saved(path, model)


def _missing(path: Path) -> None:
    model = valid()
    del model.graph.initializer[0]
    _saved(path, model)


def _no_such_output(path: Path) -> None:
    model = valid()
    model.graph.output[0].name = "nowhere"
    _saved(path, model)


def _duplicate(path: Path) -> None:
    model = valid()
    model.graph.node.append(helper.make_node("Neg", ["x"], ["a"]))
    _saved(path, model)


def _external(location: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        (path.parent.parent / "outside.bin").write_bytes(b"\0" * 12)
        link = path.parent / "link.bin"
        link.unlink(missing_ok=True)
        link.symlink_to(path.parent.parent / "outside.bin")
        (path.parent / "short.bin").write_bytes(b"\0" * 5)
        model = valid()
        weight = model.graph.initializer[0]
        weight.ClearField("float_data")
        weight.ClearField("raw_data")
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)
        _saved(path, model)

    return write


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(10_000_000))


def _nested(path: Path) -> None:
    path.write_bytes(nested(1000))


def nested(depth: int) -> bytes:
    """Branches within branches, written byte by byte: protobuf itself refuses to make them."""

    def number(value: int) -> bytes:
        parts = b""
        while value > 127:
            parts += bytes([value & 127 | 128])
            value >>= 7
        return parts + bytes([value])

    def field(tag: int, data: bytes) -> bytes:
        return number(tag << 3 | 2) + number(len(data)) + data

    result = helper.make_tensor_value_info("o", 1, [2])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["o"])], "g", [], [result])
    data = graph.SerializeToString()
    for _ in range(depth):
        attribute = field(1, b"then_branch") + field(6, data) + b"\xa0\x01\x05"
        node = field(1, b"c") + field(2, b"o") + field(4, b"If") + field(5, attribute)
        data = field(1, node) + field(2, b"g") + field(12, result.SerializeToString())
    return b"\x08\x0a" + field(7, data) + field(8, b"\x10\x12")


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (_truncated, "not a readable ONNX model"),
    "cyclic": (_cyclic, "in a circle"),
    "self": (_self, "in a circle"),
    "missing initializer": (_missing, "no node computes the tensor 'w'"),
    "missing output": (_no_such_output, "no node computes the output 'nowhere'"),
    "duplicate names": (_duplicate, "'a' is redeclared"),
    "data outside": (_external("../outside.bin"), "outside of its folder"),
    "data at an absolute path": (_external("/etc/passwd"), "outside of its folder"),
    "data behind a link": (_external("link.bin"), "outside of its folder"),
    "data in no file": (_external("\0"), "names no file for its data"),
    "data missing": (_external("none.bin"), "there is no 'none.bin'"),
    "data cut off": (_external("short.bin"), "'short.bin' has 5 bytes"),
    "random bytes": (_noise, "not a readable ONNX model"),
    "nested 1,000 deep": (_nested, "nested too deeply"),
    "empty": (lambda path: path.write_bytes(b"") and None, "not a readable ONNX model"),
}
