"""Every C function that a library shows turns what is thrown into an error, or cannot throw."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelport.backends.tensorrt.plugins import build_plugins, find_headers
from modelport.ops.build import BuildOptions, build_library, toolchain
from modelport.ops.scaffold import load_folder
from tests.runtime.native_build import sdk

ROOT = Path(__file__).parents[2]
SETTERS = {f"modelport_set_{kind}" for kind in ("int", "float", "str", "ints", "floats", "strs")}
# They turn what is thrown into an error.
HOST_GUARDED = {"modelport_bind", "modelport_call", "modelport_kernels"} | SETTERS
# They return a constant, or what was kept before, or release.
HOST_PLAIN = {"modelport_abi", "modelport_error", "modelport_refusal", "modelport_unbind"}
BUNDLE_GUARDED = {
    *("modelport_load", "modelport_run", "modelport_batcher_create", "modelport_submit"),
}
BUNDLE_PLAIN = {
    *(f"modelport_error_{part}" for part in ("get_kind", "what", "where", "why", "fix", "text")),
    *(f"modelport_{name}_release" for name in ("error", "engine", "outputs", "batcher")),
    *("modelport_engine_target", "modelport_engine_runtime"),
    *("modelport_engine_input", "modelport_engine_input_count"),
    *("modelport_engine_output", "modelport_engine_output_count"),
    *("modelport_outputs_count", "modelport_outputs_get"),
}


def exported(library: Path) -> set[str]:
    """The names of the functions that a library shows."""
    command = ["nm", "--dynamic", "--defined-only", str(library)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.split()[2].partition("@")[0] for line in listed.splitlines() if " T " in line}


def test_a_library_of_operators() -> None:
    library = build_library(load_folder(ROOT / "tests" / "operators" / "twice"))
    assert exported(library) == {"RegisterCustomOps"} | HOST_GUARDED | HOST_PLAIN


def test_a_library_of_plugins(tensorrt_headers: Path) -> None:
    if toolchain.nvcc() is None:
        pytest.skip("there is no nvcc")
    operators = load_folder(ROOT / "tests" / "plugin_operators" / "blended")
    options = BuildOptions(cuda=True, capabilities=(80,))
    library = build_plugins(operators, options, find_headers())
    own = {"getCreators", "setLoggerFinder", "modelport_tensorrt", "modelport_namespace"}
    assert exported(library) == own | HOST_GUARDED | HOST_PLAIN


def test_the_library_of_bundles() -> None:
    (library,) = (sdk("release") / "lib").glob("libmodelport.so")
    assert exported(library) == BUNDLE_GUARDED | BUNDLE_PLAIN
