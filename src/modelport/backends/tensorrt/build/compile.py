"""Compiling for TensorRT: a graph becomes an engine, in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends.adapters import adapters_of, adapters_to_json
from modelport.backends.base import Artifact, Capabilities
from modelport.backends.tensorrt.build.build_errors import all_nodes, describe, refusal
from modelport.backends.tensorrt.build.layers import confirm_types, read_layers
from modelport.backends.tensorrt.build.options import HARDWARE, BuildOptions, capabilities_of
from modelport.backends.tensorrt.build.profiles import plan_profiles
from modelport.backends.tensorrt.build.worker_client import run_build
from modelport.backends.tensorrt.caches import timing_cache
from modelport.backends.tensorrt.device import why_no_gpu
from modelport.backends.tensorrt.engine_metadata import BuildRecord
from modelport.backends.tensorrt.library import Flavor, flavor_of
from modelport.backends.tensorrt.plugins import require_version
from modelport.errors import BuildError, UsageError
from modelport.ir.domains import DEFAULT_DOMAIN
from modelport.model import Model
from modelport.progress import Progress
from modelport.target import Target

if TYPE_CHECKING:
    import onnx_ir

_PRECISIONS = {
    "fp32": "graph",
    "tf32": "runtime",
    "fp16": "graph",
    "bf16": "graph",
    "int8": "graph",
    "fp8": "graph",
}
_DTYPES = (
    *("float32", "float16", "bfloat16", "float8_e4m3fn"),
    *("int8", "uint8", "int32", "int64", "bool"),
)
CAPABILITIES = Capabilities(
    devices=("cuda",),
    precisions=_PRECISIONS,
    dtypes=_DTYPES,
    dynamic_shapes="ranges",
    custom_operators=("plugins", "bodies"),
    threads=False,
)
RTX_CAPABILITIES = Capabilities(
    devices=("cuda",),
    precisions=_PRECISIONS,
    dtypes=_DTYPES,
    dynamic_shapes="ranges",
    custom_operators=("bodies",),
    threads=False,
)
FOLDER = "engines"
"""Where engines lie in a folder."""


def compile(
    folder: Path,
    graph: str,
    target: Target,
    libraries: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Artifact:
    """Builds an engine; see `modelport.backends.Backend.compile`.

    Args:
        folder: As for every backend.
        graph: As for every backend.
        target: What to build for. Without a compute capability TensorRT builds for the GPU of this
            machine, and TensorRT for RTX for all that it builds for by itself.
        libraries: Libraries of kernels, which are not for TensorRT: ONNX Runtime needs them to run
            the graph in the engine's place. Those of plugins are an option.
        options: By name, what `BuildOptions` has.
        progress: Told of TensorRT's phases.

    Returns:
        The artifact. Its options give the engine's file and that of the `BuildRecord`.

    Raises:
        UsageError: The library is missing, or does not offer what is asked for.
        BuildError: It refuses the graph, or the engine has other types than asked for.
    """
    flavor = flavor_of(target)
    module = flavor.open()
    wanted = BuildOptions.read(options or {}, flavor)
    capabilities = capabilities_of(module, flavor, target)
    model = Model.load(folder / graph)
    plugins = _plugins(model.ir, flavor)
    profiles, findings = plan_profiles(model.signature, wanted)
    stem = f"{FOLDER}/{str(target).replace(':', '-')}"
    (folder / FOLDER).mkdir(exist_ok=True)
    for library in wanted.plugins:
        require_version(Path(library), module)
    kept = [_kept(Path(library), folder) for library in wanted.plugins]
    cache = timing_cache(flavor, module)
    job = {
        "module": flavor.module,
        "graph": str(folder / graph),
        "engine": str(folder / f"{stem}.engine"),
        "capabilities": capabilities,
        "profiles": profiles,
        "values": wanted.values,
        "tf32": target.precision == "tf32",
        "workspace": wanted.workspace,
        "flags": wanted.flags,
        "hardware": HARDWARE.get(wanted.hardware_compatible, ""),
        "libraries": [str(folder / name) for name in kept],
        "plugins": plugins,
        "timing_cache": None if cache is None else str(cache),
        "gpu": not why_no_gpu(),
    }
    answer = run_build(job, progress)
    if "refused" in answer:
        raise refusal(answer["refused"], model.ir, flavor.title)
    built = answer["built"]
    layers = read_layers(built["inspected"], built["listed"])
    confirm_types(target.precision, built["network"], layers)
    record = BuildRecord(
        backend=flavor.backend,
        version=str(module.__version__),
        target=target,
        capabilities=tuple(name.lower() for name in capabilities),
        version_compatible=wanted.version_compatible,
        hardware_compatible=wanted.hardware_compatible,
        weights_stripped=wanted.strip_weights,
        refittable=wanted.refittable or wanted.strip_weights,
        signature=model.signature,
        adapters=tuple(adapters_to_json(adapters_of(model.ir))),
        profiles=tuple(profiles),
        layers=tuple(layers),
        warnings=tuple(built["warnings"]),
        size=built["bytes"],
    )
    record.write(folder / f"{stem}.json", folder / f"{stem}.engine")
    return Artifact(
        graph,
        (f"{stem}.engine", f"{stem}.json", *kept, *libraries),
        {
            "engine": f"{stem}.engine",
            "record": f"{stem}.json",
            "plugins": kept,
            "kernels": list(libraries),
        },
        tuple(findings),
    )


def _kept(library: Path, folder: Path) -> str:
    """A library of plugins beside the engine, relative to the folder."""
    place = f"{FOLDER}/{library.name}"
    try:
        shutil.copyfile(library, folder / place)
    except OSError as error:
        raise UsageError(
            f"cannot read the library of plugins {library}: {error.strerror}"
        ) from error
    return place


def _plugins(ir: onnx_ir.Model, flavor: Flavor) -> list[str]:
    """Operators that only a plugin computes, looked for before the parser meets them.

    It would take a node of another domain for the standard operator of the same name, or end the
    process.
    """
    bodies = {(key[0], key[1]) for key in ir.functions}
    custom = [
        node
        for node in all_nodes(ir)
        if node.domain not in DEFAULT_DOMAIN and (node.domain, node.op_type) not in bodies
    ]
    if custom and not flavor.plugins:
        raise BuildError(
            f"{flavor.title} has no operator {custom[0].domain}::{custom[0].op_type}",
            where="; ".join(map(describe, custom[:3])),
            why="it takes no plugins",
            fix="write the operator with standard ones, or give it a body of them "
            "(an ONNX function), which is put in its place",
        )
    return sorted({node.op_type for node in custom})
