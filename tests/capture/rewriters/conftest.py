import io
import logging
import sys
import types
import warnings
from contextlib import nullcontext, redirect_stdout

import numpy as np
import onnxruntime
import pytest
import torch

from modelport.capture.rewriters import rewriting


class Call(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def export(model, args, dynamic=None, capture="dynamo", **options):
    """Bytes of an ONNX model; `dynamic` lists the dynamic axes of each input."""
    names = [f"input{place}" for place in range(len(args))]
    dynamic = dynamic or [[] for _ in args]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            if capture == "dynamo":
                shapes = [dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in dynamic]
                variadic = isinstance(model, Call)
                whole = (tuple(shapes),) if variadic else tuple(shapes)
                program = torch.onnx.export(
                    model,
                    args,
                    dynamo=True,
                    opset_version=18,
                    input_names=names,
                    dynamic_shapes=whole,
                    verbose=False,
                    **options,
                )
                return program.model_proto.SerializeToString()
            axes = {
                name: {axis: f"{name}_{axis}" for axis in axes}
                for name, axes in zip(names, dynamic, strict=True)
            }
            file = io.BytesIO()
            torch.onnx.export(
                model,
                args,
                file,
                dynamo=False,
                opset_version=18,
                input_names=names,
                dynamic_axes=axes,
                **options,
            )
            return file.getvalue()
        finally:
            logging.disable(logging.NOTSET)


def run(content, args):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = {value.name for value in session.get_inputs()}
    feeds = {f"input{place}": value.numpy() for place, value in enumerate(args)}
    return session.run(None, {name: value for name, value in feeds.items() if name in names})


def flatten(outputs):
    if isinstance(outputs, list | tuple):
        return [tensor for output in outputs for tensor in flatten(output)]
    return [outputs]


def same(model, content, args):
    expected = [tensor.detach().numpy() for tensor in flatten(model(*args))]
    actual = run(content, args)
    return len(expected) == len(actual) and all(
        a.shape == b.shape and a.dtype == b.dtype and np.allclose(a, b, 1e-4, 1e-5, equal_nan=True)
        for a, b in zip(expected, actual, strict=True)
    )


@pytest.fixture
def outcome():
    """Exports a function, runs it on other inputs, and says how that went, and what took part."""

    def outcome(function, args, others, dynamic, capture, *, rewritten, target=None, **options):
        model = Call(function).eval()
        scope = rewriting(model, capture=capture, target=target) if rewritten else nullcontext()
        # Whatever an exporter or a session raises is the outcome.
        try:
            with scope as active:
                content = export(model, args, dynamic, capture, **options)
            right = all(same(model, content, values) for values in (args, *others))
        except Exception as error:  # noqa: BLE001
            return f"{type(error).__name__}: {str(error)[:300]}", None
        return ("right" if right else "wrong"), active

    return outcome


@pytest.fixture
def export_bytes():
    return export


@pytest.fixture
def run_bytes():
    return run


@pytest.fixture
def same_as_eager():
    return same


@pytest.fixture
def stand_in(monkeypatch):
    """Makes a module with nothing but the attributes given, which plays a library's part."""

    def stand_in(name, **attributes):
        parts = name.split(".")
        names = [".".join(parts[: count + 1]) for count in range(len(parts))]
        modules = [types.ModuleType(each) for each in names]
        for parent, child, part in zip(modules, modules[1:], parts[1:], strict=False):
            setattr(parent, part, child)
        for each, module in zip(names, modules, strict=True):
            monkeypatch.setitem(sys.modules, each, module)
        vars(modules[-1]).update(attributes)
        return modules[-1]

    return stand_in
