"""The C API from another language: Python's ctypes, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import modelport
from tests.runtime.native_build import environment, sdk

PROGRAM = """
import ctypes as c
import sys
import threading

import numpy as np


class Tensor(c.Structure):
    _fields_ = [
        ("name", c.c_char_p), ("dtype", c.c_int), ("shape", c.POINTER(c.c_int64)),
        ("rank", c.c_size_t), ("data", c.c_void_p),
    ]


lib = c.CDLL(sys.argv[1])
lib.modelport_error_text.restype = c.c_char_p
lib.modelport_engine_target.restype = c.c_char_p
lib.modelport_outputs_count.restype = c.c_size_t
lib.modelport_outputs_get.restype = Tensor
for name in ("load", "run", "batcher_create"):
    getattr(lib, "modelport_" + name).restype = c.c_void_p
DONE = c.CFUNCTYPE(None, c.c_void_p, c.c_void_p, c.c_void_p)


def text_of(error):
    text = lib.modelport_error_text(c.c_void_p(error)).decode()
    kind = lib.modelport_error_get_kind(c.c_void_p(error))
    lib.modelport_error_release(c.c_void_p(error))
    return kind, text


def tensor(name, array):
    shape = (c.c_int64 * array.ndim)(*array.shape)
    return Tensor(name, 1, shape, array.ndim, array.ctypes.data)


def read(outputs):
    assert lib.modelport_outputs_count(c.c_void_p(outputs)) == 1
    t = lib.modelport_outputs_get(c.c_void_p(outputs), c.c_size_t(0))
    shape = [t.shape[i] for i in range(t.rank)]
    count = int(np.prod(shape))
    values = np.ctypeslib.as_array(c.cast(t.data, c.POINTER(c.c_float)), (count,)).copy()
    lib.modelport_outputs_release(c.c_void_p(outputs))
    return values.reshape(shape)


engine = c.c_void_p()
kind, text = text_of(lib.modelport_load(b"/none.port", None, c.byref(engine)))
assert (kind, text) == (1, "no such bundle: /none.port"), (kind, text)
assert lib.modelport_load(sys.argv[2].encode(), None, c.byref(engine)) is None
assert lib.modelport_engine_target(engine) == b"onnxruntime:cpu:fp32"

image = (np.random.default_rng(0).random((2, 3, 16, 18)) * 255).astype(np.float32)
given = tensor(b"image", image)
outputs = c.c_void_p()
one = c.c_size_t(1)


def run(tensor):
    every = (None, c.c_size_t(0))
    return lib.modelport_run(engine, c.byref(tensor), one, *every, c.byref(outputs))


assert run(given) is None
first = read(outputs.value)
np.save(sys.argv[3], image)
np.save(sys.argv[4], first)

wrong = tensor(b"picture", image)
kind, text = text_of(run(wrong))
assert kind == 4 and "missing: image; unknown: picture" in text

batcher = c.c_void_p()
made = lib.modelport_batcher_create(engine, c.c_size_t(4), c.c_int64(1000), c.byref(batcher))
assert made is None
answers, arrived = {}, threading.Semaphore(0)


@DONE
def done(user, error, outputs):
    answers[user] = text_of(error) if error else read(outputs)
    arrived.release()


for user, item in ((1, given), (2, wrong), (3, given)):
    lib.modelport_submit(batcher, c.byref(item), one, done, c.c_void_p(user))
lib.modelport_engine_release(engine)  # the batcher holds what it needs
for _ in range(3):
    assert arrived.acquire(timeout=60)
lib.modelport_batcher_release(batcher)
assert np.abs(answers[1] - first).max() <= 1e-3 * np.abs(first).max()
assert np.array_equal(answers[1], answers[3])
assert answers[2][0] == 4
"""


def test_the_c_api_from_another_language(deployed: modelport.Deployment, tmp_path: Path) -> None:
    library = sdk("release") / "lib" / "libmodelport.so"
    files = [tmp_path / "image.npy", tmp_path / "result.npy"]
    command = [sys.executable, "-c", PROGRAM, library, deployed.path, *files]
    done = subprocess.run(
        list(map(str, command)), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    image, result = map(np.load, files)
    wanted = modelport.load(deployed.path).run({"image": image})["result"]
    np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


def test_only_the_api_is_exported() -> None:
    library = sdk("release") / "lib" / "libmodelport.so"
    command = ["nm", "--dynamic", "--defined-only", str(library)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1] for line in listed.splitlines()}
    assert "modelport_run" in names
    assert not {name for name in names if not name.startswith("modelport_")}
