"""Does OpenVINO work here?"""

from __future__ import annotations

import base64

from modelport.backends.base import Probe
from modelport.backends.openvino.core import core, import_openvino, open_compiled
from modelport.errors import ModelportError
from modelport.extras import install_command
from modelport.target import Target

# y = Identity(x), float32[1], opset 13, IR 8: written by onnx.helper, so that the probe needs no
# onnx package.
_IDENTITY = base64.b64decode(
    "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0="
)


def version() -> str:
    """OpenVINO's version; see `modelport.backends.Backend.version`."""
    # The rest names a commit.
    return str(import_openvino().__version__).partition("-")[0]


def probe() -> Probe:
    """Compiles a one-node model; see `modelport.backends.Backend.probe`."""
    try:
        found = version()
    except ImportError as error:
        return Probe("openvino", False, "", str(error), install_command("openvino"))
    try:
        open_compiled(_IDENTITY, Target("openvino"))
    except ModelportError as error:
        detail = " ".join(str(error).split())
        return Probe(
            "openvino", False, found, detail, f"{install_command('openvino')} --force-reinstall"
        )
    devices = ", ".join(core().available_devices)
    arithmetic = ", ".join(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return Probe("openvino", True, found, f"devices: {devices}; CPU: {arithmetic}")
