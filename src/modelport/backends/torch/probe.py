"""Does PyTorch work here?"""

from __future__ import annotations

import importlib
import shutil

from modelport.backends.base import Probe
from modelport.extras import install_command


def version() -> str:
    """PyTorch's version; see `modelport.backends.Backend.version`."""
    return str(importlib.import_module("torch").__version__)


def probe() -> Probe:
    """Adds two numbers; see `modelport.backends.Backend.probe`."""
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        return Probe("torch", False, "", str(error), install_command("export"))
    if int(torch.ones(()) + torch.ones(())) != 2:
        remedy = "pip install --force-reinstall torch"
        return Probe("torch", False, torch.__version__, "1 + 1 is not 2", remedy)
    modes = ["eager"] + (["compile"] if shutil.which("g++") else [])
    capability = torch.backends.cpu.get_cpu_capability()
    return Probe("torch", True, torch.__version__, f"{', '.join(modes)}; CPU: {capability}")
