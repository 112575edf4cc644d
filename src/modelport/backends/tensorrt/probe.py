"""Does TensorRT work here?"""

from __future__ import annotations

from modelport.backends.base import Probe
from modelport.backends.tensorrt.device import why_no_gpu
from modelport.backends.tensorrt.library import RTX, TENSORRT, Flavor
from modelport.errors import UsageError


def version() -> str:
    """TensorRT's version; see `modelport.backends.Backend.version`."""
    return str(TENSORRT.open().__version__)


def version_rtx() -> str:
    """The version of TensorRT for RTX; see `modelport.backends.Backend.version`."""
    return str(RTX.open().__version__)


def probe() -> Probe:
    """Imports TensorRT and looks for a GPU; see `modelport.backends.Backend.probe`."""
    return _probe(TENSORRT)


def probe_rtx() -> Probe:
    """Imports TensorRT for RTX; see `modelport.backends.Backend.probe`."""
    return _probe(RTX)


def _probe(flavor: Flavor) -> Probe:
    try:
        version = str(flavor.open().__version__)
    except UsageError as error:
        return Probe(flavor.backend, False, "", error.why or error.what, flavor.install)
    missing = why_no_gpu()
    if not missing:
        return Probe(flavor.backend, True, version, "builds and runs engines")
    if not flavor.ahead:
        return Probe(flavor.backend, False, version, missing, "use a machine with a GPU")
    return Probe(flavor.backend, True, version, f"builds engines, cannot run them: {missing}")
