"""Bundles that were written once are opened, verified and run ever after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime
import pytest

import modelport
from modelport import Bundle, BundleError, Target
from modelport.backends import get_backend
from modelport.backends.adapters import ADAPTERS_OPTION, adapters_from_json
from modelport.ops.elf_check import platform_name
from tests.data.stored import BUNDLES, FOLDER, KEY, name_of, read_runs, require_near

# `make versions` runs these tests without PyTorch, too.
if TYPE_CHECKING:
    from tests.conftest import RunCli

WITHOUT_OPSET_22 = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 21)
"""Whether ONNX Runtime is older than the opset that has operators in bfloat16."""


@pytest.fixture(params=BUNDLES, ids=name_of)
def stored(request: pytest.FixtureRequest) -> Path:
    """A stored bundle whose libraries, where it has any, are for this platform."""
    path: Path = request.param
    if path.stem == "operator" and platform_name() != "linux-x86_64":
        pytest.skip("its library of operators is for linux-x86_64")
    return path


def runnable(bundle: Bundle) -> Iterator[Target | None]:
    """The targets that this machine can run; None for a pipeline, which has none of its own."""
    if bundle.manifest.stages:
        yield None
    for target in bundle.manifest.artifacts:
        backend = get_backend(target)
        if target.precision == "bf16" and WITHOUT_OPSET_22:
            continue
        if target.device == "cpu" and backend.probe().works and not backend.why_not_run(target):
            yield target


def test_this_version_has_stored_one_of_every_kind() -> None:
    pytest.importorskip("torch")
    from tests.data.kinds import KINDS

    folder = FOLDER / modelport.__version__
    missing = set(KINDS) - {path.stem for path in folder.glob("*.port")}
    assert not missing, f"{folder} has no bundle of: {missing}; `make bundles` writes them"


def test_stored_bundle_computes_what_pytorch_computed(stored: Path) -> None:
    runs = read_runs(stored)
    assert runs
    with Bundle.open(stored, trust=True) as bundle:
        targets = list(runnable(bundle))
        if not targets and stored.stem in ("openvino", "torch"):
            pytest.skip(f"there is no {stored.stem} here")
        assert targets
        for target in targets:
            engine = bundle.load(target)
            for inputs, outputs in runs:
                require_near(engine.run(inputs), outputs, target.precision if target else "fp32")


def test_stored_bundle_passes_its_own_tests(stored: Path) -> None:
    with Bundle.open(stored) as bundle:
        has_cases = all(model.manifest.cases for model in bundle.models)
    if not has_cases:
        with pytest.raises(modelport.UsageError, match="no reference cases"):
            modelport.verify(stored, trust=True)
        return
    results = modelport.verify(stored, trust=True)
    assert results
    assert all(result.ok for result in results.values()), results
    test = modelport.self_test(stored, trust=True)
    assert test.ok, test


def test_stored_bundle_is_listed(stored: Path, cli: RunCli) -> None:
    for command in ("ls", "info", "verify"):
        ran = cli("bundle", command, stored)
        assert ran.code == 0, ran.err
    with Bundle.open(stored) as bundle:
        manifest = bundle.manifest
    for target, artifact in manifest.artifacts.items():
        assert cli("bundle", "info", stored).out.count(str(target))
        assert artifact.graph in manifest.files
    assert (manifest.result is not None) == (stored.stem in ("pipeline", "steps"))


@pytest.mark.parametrize(("kind", "adapter"), [("scaled", "FixedPoint"), ("trimmed", "Trim")])
def test_stored_adapters_are_read(kind: str, adapter: str) -> None:
    for path in FOLDER.glob(f"*/{kind}.port"):
        with Bundle.open(path) as bundle:
            artifacts = bundle.manifest.artifacts
        kept = artifacts[Target.parse("tensorrt-rtx:sm86")].options[ADAPTERS_OPTION]
        assert [type(item).__name__ for item in adapters_from_json(kept)] == [adapter]


@pytest.mark.parametrize("kind", ["operator", "signed", "torch"])
def test_stored_code_is_refused_where_it_is_unknown(kind: str, elsewhere: Path) -> None:
    for path in FOLDER.glob(f"*/{kind}.port"):
        with pytest.raises(BundleError, match="code that is not known here"):
            modelport.load(path)


def test_stored_signature_holds(elsewhere: Path) -> None:
    pytest.importorskip("cryptography", reason="the extra `sign` is not installed")
    for path in FOLDER.glob("*/signed.port"):
        engine = modelport.load(path, key=path.parent / KEY)
        for inputs, outputs in read_runs(path):
            require_near(engine.run(inputs), outputs, "fp32")
        with pytest.raises(BundleError, match="not signed"):
            modelport.load(path.with_stem("directory"), key=path.parent / KEY)
