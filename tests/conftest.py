"""Fixtures for all tests."""

from __future__ import annotations

import os

# ONNX Runtime reads it when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from pathlib import Path

# A worker has a core of its own. Threads of runtimes that wait for a core turn in circles, which
# costs more than a third of all time; a runtime that starts on one core starts no threads.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if _WORKER:
    _CORES = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {_CORES[int(_WORKER.removeprefix("gw")) % len(_CORES)]})

# Where `make tensorrt-headers` puts them.
_HEADERS = Path(__file__).parent.parent / "build" / "tensorrt-headers"
if (_HEADERS / "NvInfer.h").is_file():
    os.environ.setdefault("TENSORRT_INCLUDE_DIR", str(_HEADERS))

# Libraries of operators are built once: by content, so what is there is never out of date.
os.environ.setdefault("MODELPORT_CACHE", str(Path(__file__).parent.parent / "build" / "cache"))

import gc
import shutil
import subprocess
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import torch

import modelport
from modelport import Operator
from modelport.cli import main
from modelport.ops import registry
from modelport.ops.build.cache import cache_folder
from modelport.ops.scaffold import load_folder
from tests.isolation import restored
from tests.support import RECIPE_SOURCE, Ran
from tests.warm import Warm

# What is imported stays: no collection of a worker looks at it again.
gc.collect()
gc.freeze()

hypothesis.settings.register_profile("modelport", deadline=None, derandomize=True)
hypothesis.settings.load_profile("modelport")

RunCli = Callable[..., Ran]


COSTLY_PLACES = (
    "backends/tensorrt/plugins",
    "capture/rewriters",
    "conformance",
    "deployment",
    "export",
    "promises",
    "native",
    "ops/library",
    "pipeline/test_examples.py",
    "runtime",
    "test_docs.py",
    "test_wheel.py",
    "tuning",
)
"""Tests of architectures, whole processes and compiled code, which `make test-fast` leaves out."""
COSTLY_FIXTURES = {"native", "tensorrt_headers", "trial", "warm"}
"""What starts a compiler or a process."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `make test-fast` leaves out."""
    for item in items:
        place = item.path.relative_to(Path(__file__).parent).as_posix()
        if place.startswith(COSTLY_PLACES) or COSTLY_FIXTURES & set(item.fixturenames):
            item.add_marker("costly")


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    """Keeps what a test changes in this process from the tests after it."""
    with restored():
        yield


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Runs a command in this process."""

    def run(*argv: object) -> Ran:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in argv])
        except SystemExit as stop:  # argparse leaves in this way
            code = stop.code if isinstance(stop.code, int) else 2
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Starts processes in which PyTorch is imported already."""
    server = Warm(tmp_path_factory.mktemp("warm"))
    yield server
    server.close()


@pytest.fixture
def run_cli(warm: Warm) -> RunCli:
    """Runs a command in a process of its own."""

    def run(*argv: object, cwd: Path | None = None) -> Ran:
        done = subprocess.run(
            ["modelport", *map(str, argv)],
            capture_output=True,
            text=True,
            cwd=cwd,
            check=False,
            env=os.environ | warm.environment,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def trial_names() -> list[str]:
    """The operators of ``tests/operators``, declared."""
    return [item.qualified_name for item in load_folder(Path(__file__).parent / "operators")]


@pytest.fixture
def trial(trial_names: list[str]) -> dict[str, Operator]:
    """The operators of ``tests/operators`` by name; their libraries are built when needed."""
    # A test may have read the folder again, which replaces them.
    operators = [registry.find(name) for name in trial_names]
    return {operator.schema.name: operator for operator in operators if operator is not None}


@pytest.fixture(scope="session")
def tensorrt_headers() -> Path:
    """The folder with TensorRT's headers, TENSORRT_INCLUDE_DIR."""
    folder = Path(os.environ.get("TENSORRT_INCLUDE_DIR", ""))
    if not (folder / "NvInfer.h").is_file():
        pytest.skip("there are no headers of TensorRT: make tensorrt-headers")
    return folder


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe file of a small network."""
    path = tmp_path_factory.mktemp("recipe") / "recipe.py"
    path.write_text(RECIPE_SOURCE)
    return path


@pytest.fixture(scope="session")
def deployed(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> modelport.Deployment:
    """The recipe file, deployed as a directory. Its files are not to be changed."""
    return modelport.deploy(recipe_file, tmp_path_factory.mktemp("deployed") / "tiny.port")


@pytest.fixture(scope="session")
def zipped(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe file, deployed as a zip file. It is not to be changed."""
    path = tmp_path_factory.mktemp("zipped") / "tiny.port"
    modelport.deploy(recipe_file, path, zipped=True)
    return path


@pytest.fixture
def bundle(deployed: modelport.Deployment, tmp_path: Path) -> Path:
    """A copy of the deployed bundle, to be changed at will."""
    return Path(shutil.copytree(deployed.path, tmp_path / "tiny.port"))


@pytest.fixture
def onnx_file(deployed: modelport.Deployment) -> Path:
    """The deployed bundle's graph. It is not to be changed."""
    return deployed.path / "graphs" / "model.onnx"


@pytest.fixture(scope="session")
def native(trial_names: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a library of operators. It is not to be changed."""
    assert "tinted::blend" in trial_names

    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.tinted.blend(x, x, share=0.5) * 2

    recipe = modelport.Recipe(
        Network(),
        args=(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)),),
        input_names=["x"],
        output_names=["y"],
        dynamic={"x": [0]},
        capture="trace",
        name="native",
    )
    return modelport.deploy(recipe, tmp_path_factory.mktemp("native") / "native.port").path


@pytest.fixture
def code(native: Path, tmp_path: Path) -> Path:
    """A copy of the bundle with a library of operators."""
    return Path(shutil.copytree(native, tmp_path / "native.port"))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another user's machine: nothing was built there, and no key is known."""
    cache = tmp_path / "other cache"
    cache.mkdir()
    # What compilers made is kept, so that it is made once.
    for name in ("objects", "operators"):
        (cache_folder() / name).mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(cache_folder() / name)
    monkeypatch.setenv("MODELPORT_CACHE", str(cache))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    return tmp_path
