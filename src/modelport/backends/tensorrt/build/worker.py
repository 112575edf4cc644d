"""A build, in a process of its own: TensorRT prints what it likes, and may end the process.

It reads a job and answers with ``start`` and ``finish`` of each phase, then ``refused`` or
``built``; see `modelport.child_process.MessageProcess`.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelport.backends.tensorrt.logger import logger
from modelport.child_process import Answers, requests

DEEPEST_PHASE = 2
"""TensorRT's phases lie within each other; what is deeper than this takes no time worth telling."""


class _RefusedError(Exception):
    """TensorRT does not take the graph or what was asked for."""

    def __init__(self, stage: str, **details: Any) -> None:
        super().__init__(stage)
        self.details = {"stage": stage, **details}


class _Build:
    """One build with one of the two modules."""

    def __init__(self, job: Mapping[str, Any], tell: Any) -> None:
        self._job = job
        self._tell = tell
        self._trt: Any = importlib.import_module(job["module"])
        self._log = logger(self._trt)

    def run(self) -> dict[str, Any]:
        """Parses, builds, and writes the engine."""
        trt, job = self._trt, self._job
        for library in job["libraries"]:
            trt.get_plugin_registry().load_library(library)
        self._require_creators()
        builder = trt.Builder(self._log)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        self._parse(network)
        config = self._configured(builder, network)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise _RefusedError("build", log=self._log.errors)
        data = bytes(plan)
        Path(job["engine"]).write_bytes(data)
        if job["timing_cache"]:
            Path(job["timing_cache"]).write_bytes(bytes(config.get_timing_cache().serialize()))
        return {
            "bytes": len(data),
            "network": list(_network_layers(network)),
            "inspected": self._inspect(data),
            "listed": self._log.layers,
            "warnings": self._log.warnings,
        }

    def _require_creators(self) -> None:
        """Parsing a node whose plugin is missing may end the process."""
        creators = {item.name for item in self._trt.get_plugin_registry().all_creators}
        missing = [name for name in self._job["plugins"] if name not in creators]
        if missing:
            raise _RefusedError("plugins", missing=missing)

    def _parse(self, network: Any) -> None:
        parser = self._trt.OnnxParser(network, self._log)
        if not parser.parse_from_file(self._job["graph"]) or parser.num_errors:
            errors = [parser.get_error(place) for place in range(parser.num_errors)]
            raise _RefusedError(
                "parse",
                log=self._log.errors,
                errors=[
                    {
                        "what": error.desc(),
                        "code": str(error.code()).rpartition(".")[2],
                        "function": error.func(),
                        "node": error.node_name(),
                        "operator": error.node_operator(),
                    }
                    for error in errors
                ],
            )

    def _configured(self, builder: Any, network: Any) -> Any:
        trt, job = self._trt, self._job
        config = builder.create_builder_config()
        config.progress_monitor = self._monitor = _monitor(trt, self._tell)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        (config.set_flag if job["tf32"] else config.clear_flag)(trt.BuilderFlag.TF32)
        for flag in job["flags"]:
            config.set_flag(getattr(trt.BuilderFlag, flag))
        if job["hardware"]:
            levels = trt.HardwareCompatibilityLevel
            config.hardware_compatibility_level = getattr(levels, job["hardware"])
        if job["workspace"] is not None:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, job["workspace"])
        if job["capabilities"]:
            config.num_compute_capabilities = len(job["capabilities"])
            for place, name in enumerate(job["capabilities"]):
                config.set_compute_capability(getattr(trt.ComputeCapability, name), place)
        if job["timing_cache"]:
            path = Path(job["timing_cache"])
            kept = path.read_bytes() if path.is_file() else b""
            config.set_timing_cache(config.create_timing_cache(kept), False)
        self._add_profiles(builder, network, config)
        return config

    def _add_profiles(self, builder: Any, network: Any, config: Any) -> None:
        inputs = [network.get_input(place) for place in range(network.num_inputs)]
        shapes = [item.name for item in inputs if item.is_shape_tensor]
        unknown = [name for name in shapes if name not in self._job["values"]]
        if unknown:
            raise _RefusedError("values", inputs=unknown)
        for profile in self._job["profiles"] or ([{}] if shapes else []):
            made = builder.create_optimization_profile()
            for name, sizes in profile.items():
                made.set_shape(name, *map(tuple, sizes))
            for name in shapes:
                made.set_shape_input(name, *map(tuple, self._job["values"][name]))
            if config.add_optimization_profile(made) < 0:
                raise _RefusedError("profile", log=self._log.errors)

    def _inspect(self, plan: bytes) -> Any:
        """What the inspector says of the engine; nothing without a GPU, which opening it takes."""
        trt = self._trt
        if not self._job["gpu"]:
            return None
        engine = trt.Runtime(self._log).deserialize_cuda_engine(plan)
        if engine is None:
            return None
        inspector = engine.create_engine_inspector()
        return json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def _monitor(trt: Any, tell: Any) -> Any:
    """Tells of the phases of a build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._depths: dict[str | None, int] = {None: -1}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            depth = self._depths[phase] = self._depths.get(parent, -1) + 1
            if depth <= DEEPEST_PHASE:
                tell(start=phase)

        def phase_finish(self, phase: str) -> None:
            if self._depths.get(phase, 0) <= DEEPEST_PHASE:
                tell(finish=phase)

        def step_complete(self, phase: str, step: int) -> bool:
            return True

    return Monitor()


def _network_layers(network: Any) -> Any:
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        # What a layer takes counts, too: an input of the network is the output of none.
        tensors = [layer.get_input(number) for number in range(layer.num_inputs)]
        tensors += [layer.get_output(number) for number in range(layer.num_outputs)]
        yield {
            "name": layer.name,
            "kind": layer.type.name,
            "types": [item.dtype.name for item in tensors if item is not None],
        }


def main() -> int:
    """Does the job; see the module."""
    answers = Answers(sys.argv[1])
    job = next(requests())

    def tell(**message: Any) -> None:
        answers.send(message)

    try:
        tell(built=_Build(job, tell).run())
    except _RefusedError as refusal:
        tell(refused=refusal.details)
    return 0


if __name__ == "__main__":
    sys.exit(main())
