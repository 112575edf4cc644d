"""Does TensorRT work here?"""

from __future__ import annotations

from modelport.backends.interface import Probe
from modelport.backends.tensorrt.device import why_no_gpu
from modelport.backends.tensorrt.flavor import Flavor
from modelport.errors import UsageError


def version_of(flavor: Flavor) -> str:
    """The library's version; see `modelport.backends.Backend.version`."""
    return str(flavor.open().__version__)


def probe_flavor(flavor: Flavor) -> Probe:
    """Imports the library and looks for a GPU; see `modelport.backends.Backend.probe`."""
    try:
        version = version_of(flavor)
    except UsageError as error:
        return Probe(flavor.backend, False, "", error.why or error.what, flavor.install)
    missing = why_no_gpu()
    if not missing:
        return Probe(flavor.backend, True, version, "builds and runs engines")
    if not flavor.ahead:
        return Probe(flavor.backend, False, version, missing, "use a machine with a GPU")
    return Probe(flavor.backend, True, version, f"builds engines, cannot run them: {missing}")
