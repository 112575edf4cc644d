"""Does ONNX Runtime work here?"""

from __future__ import annotations

import base64
import importlib

from modelport.backends.base import Probe
from modelport.backends.onnxruntime.session import one_line, open_session
from modelport.errors import ModelportError
from modelport.target import Target

# y = Identity(x), float32[1], opset 13, IR 8: written by onnx.helper, so that the probe needs no
# onnx package.
_IDENTITY = base64.b64decode(
    "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0="
)


def version() -> str:
    """ONNX Runtime's version; see `modelport.backends.Backend.version`."""
    return str(importlib.import_module("onnxruntime").__version__)


def probe() -> Probe:
    """Opens a one-node model, the only way to know; see `modelport.backends.Backend.probe`."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        return Probe("onnxruntime", False, "", one_line(error), "pip install onnxruntime")
    try:
        open_session(_IDENTITY, Target("onnxruntime"))
    except ModelportError as error:
        remedy = "pip install --force-reinstall onnxruntime"
        return Probe("onnxruntime", False, runtime.__version__, one_line(error), remedy)
    providers = [
        name.removesuffix("ExecutionProvider") for name in runtime.get_available_providers()
    ]
    return Probe("onnxruntime", True, runtime.__version__, f"providers: {', '.join(providers)}")
