"""C++ opens and runs the bundles that were written once, ever after."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport import Bundle
from modelport.ops.elf_check import platform_name
from tests.data.stored import BUNDLES, FOLDER, KEY, name_of, read_runs, require_near
from tests.runtime.driver import Driver, Refused


@pytest.mark.parametrize("path", BUNDLES, ids=name_of)
def test_stored_bundle_computes_what_pytorch_computed(driver: Driver, path: Path) -> None:
    if path.stem == "operator" and platform_name() != "linux-x86_64":
        pytest.skip("its library of operators is for linux-x86_64")
    with Bundle.open(path) as bundle:
        targets = list(bundle.manifest.artifacts)
    if not targets:
        with pytest.raises(Refused, match="is a pipeline of several models"):
            driver.load(path)
    for target in targets:
        if target.backend != "onnxruntime":
            with pytest.raises(Refused, match=f"the C\\+\\+ runtime does not run {target}"):
                driver.load(path, target=target, trust=1)
            continue
        driver.load(path, target=target, trust=1)
        for inputs, outputs in read_runs(path):
            require_near(driver.run(inputs), outputs, target.precision)


def test_stages_of_a_stored_pipeline_run(driver: Driver) -> None:
    for path in FOLDER.glob("*/pipeline.port"):
        runs = read_runs(path)
        for inputs, outputs in runs:
            driver.load(path / "stages" / "features")
            features = driver.run({"x": inputs["rows"]})["y"]
            driver.load(path / "stages" / "classes")
            require_near(driver.run({"x": features}), outputs, "fp32")


def test_stored_code_is_trusted_by_its_signature_alone(driver: Driver, tmp_path: Path) -> None:
    for path in FOLDER.glob("*/signed.port"):
        driver.load(path, target="onnxruntime", key=path.parent / KEY)
        inputs, outputs = read_runs(path)[0]
        require_near(driver.run(inputs), outputs, "fp32")
        with pytest.raises(Refused, match="is not signed"):
            driver.load(path.with_stem("directory"), key=path.parent / KEY)
