"""C++ refuses the bundles that Python refuses, in the same words."""

from __future__ import annotations

import dataclasses
import json
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport.bundle import Manifest, join_stages
from modelport.errors import ModelportError
from modelport.pipeline import Stage
from tests.promises.test_tensorrt_plugin import plugin_file
from tests.runtime.driver import Driver, Refused
from tests.runtime.native_build import sdk
from tests.support import flipped, snapshot

Change = Callable[[Path], object]


def require_same_refusal(driver: Driver, path: Path, *, same_why: bool = True) -> str:
    """Both sides refuse; their errors are the same, but for the reason where it is a library's."""
    with pytest.raises(ModelportError) as there:
        modelport.load(path)
    with pytest.raises(Refused) as here:
        driver.load(path)
    wanted, came = str(there.value), str(here.value)
    assert here.value.kind == type(there.value).__name__
    if not same_why:
        wanted, came = (text.partition("\n  why: ")[0] for text in (wanted, came))
    assert came == wanted
    return came


def edit(path: Path, **changes: object) -> None:
    """Changes fields of a bundle's manifest, whose checksum is made anew."""
    manifest = Manifest.parse((path / "manifest.json").read_bytes(), str(path))
    data = dataclasses.replace(manifest, **changes).render()  # type: ignore[arg-type]
    (path / "manifest.json").write_bytes(data)


FOLDERS: dict[str, Change] = {
    "altered": lambda path: (path / "report.html").write_bytes(
        flipped((path / "report.html").read_bytes(), 9)
    ),
    "shorter": lambda path: (path / "report.html").write_bytes(b"short"),
    "missing": lambda path: (path / "graphs" / "model.onnx").unlink(),
    "extra": lambda path: (path / "graphs" / "more.onnx").write_bytes(b"x"),
    "link": lambda path: (path / "more.txt").symlink_to("/etc/passwd"),
    "manifest altered": lambda path: (path / "manifest.json").write_bytes(
        (path / "manifest.json").read_bytes().replace(b'"name": "tiny"', b'"name": "tony"')
    ),
    "manifest gone": lambda path: (path / "manifest.json").unlink(),
    "format": lambda path: (path / "manifest.json").write_text(
        json.dumps(json.loads((path / "manifest.json").read_text()) | {"format": 99})
    ),
    "format 1": lambda path: (path / "manifest.json").write_text(
        json.dumps(json.loads((path / "manifest.json").read_text()) | {"format": 1})
    ),
}


@pytest.mark.parametrize("change", FOLDERS)
def test_altered_directories_are_refused(driver: Driver, bundle: Path, change: str) -> None:
    driver.load(bundle)
    FOLDERS[change](bundle)
    require_same_refusal(driver, bundle)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b"[]", b"{}", b'{"format": 2, "format": 2}', b"\xff"),
        *('{"format": 2}'.encode(encoding) for encoding in ("utf-8-sig", "utf-16", "utf-32-le")),
    ],
)
def test_manifests_that_are_none_are_refused(driver: Driver, bundle: Path, text: bytes) -> None:
    (bundle / "manifest.json").write_bytes(text)
    assert "not readable" in require_same_refusal(driver, bundle, same_why=False)


def test_manifests_that_say_what_cannot_be_are_refused(driver: Driver, bundle: Path) -> None:
    manifest = Manifest.parse((bundle / "manifest.json").read_bytes(), "")
    ((target, artifact),) = manifest.artifacts.items()
    wrong: list[dict[str, object]] = [
        {"files": {**manifest.files, "../outside.txt": manifest.files["report.html"]}},
        {"files": {name: item for name, item in manifest.files.items() if "model" not in name}},
        {"cases": ("cases/none.npz",)},
        {"artifacts": {target: dataclasses.replace(artifact, graph="report.html")}},
        {"artifacts": {target: dataclasses.replace(artifact, options={"libraries": ["../b.so"]})}},
    ]
    for changes in wrong:
        edit(bundle, **changes)
        said = require_same_refusal(driver, bundle, same_why=False)
        assert "says what cannot be" in said
        (bundle / "manifest.json").write_bytes(manifest.render())
    driver.load(bundle)


def test_one_flipped_byte_of_the_manifest_is_refused(driver: Driver, bundle: Path) -> None:
    data = (bundle / "manifest.json").read_bytes()
    rng = np.random.default_rng(0)
    for index in (0, len(data) - 1, *rng.integers(0, len(data), 30)):
        (bundle / "manifest.json").write_bytes(flipped(data, int(index)))
        with pytest.raises(Refused, match=r"manifest\.json|format"):
            driver.load(bundle)


def zip_of(path: Path, files: dict[str, bytes], more: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [*files.items(), *more.items()]:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../evil.txt", "graphs/../../evil.txt", "/evil.txt", "a\\b"])
def test_zips_that_lead_outside_are_refused(
    driver: Driver, deployed: modelport.Deployment, tmp_path: Path, name: str
) -> None:
    path = zip_of(tmp_path / "a.port", snapshot(deployed.path), {name: b"evil"})
    said = require_same_refusal(driver, path)
    assert "lies outside the bundle" in said
    assert not list(tmp_path.parent.glob("**/evil.txt"))


def test_zips_with_more_than_the_manifest_says_are_refused(
    driver: Driver, deployed: modelport.Deployment, tmp_path: Path
) -> None:
    files = snapshot(deployed.path)
    path = zip_of(tmp_path / "a.port", files, {"more.txt": b"more"})
    assert "not in the bundle's manifest" in require_same_refusal(driver, path)
    larger = {**files, "report.html": files["report.html"] + b"x" * 2_000_000}
    path = zip_of(tmp_path / "b.port", larger, {})
    require_same_refusal(driver, path, same_why=False)
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zip_of(tmp_path / "c.port", files, {"report.html": files["report.html"]})
    with pytest.raises(Refused, match=r"twice|damaged") as caught:
        driver.load(path)
    assert caught.value.kind == "BundleError"


def test_zips_with_links_are_refused(
    driver: Driver, deployed: modelport.Deployment, tmp_path: Path
) -> None:
    path = zip_of(tmp_path / "a.port", snapshot(deployed.path), {})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "not a regular file" in require_same_refusal(driver, path)


def test_damaged_zips_are_refused(driver: Driver, zipped: Path, tmp_path: Path) -> None:
    data = zipped.read_bytes()
    for keep in (0.0, 0.3, 0.9, 0.999):
        (tmp_path / "a.port").write_bytes(data[: int(len(data) * keep)])
        with pytest.raises(Refused, match=r"a\.port") as caught:
            driver.load(tmp_path / "a.port")
        assert caught.value.kind in ("BundleError", "UsageError")


def test_unpacking_leaves_nothing_behind(variant: str, zipped: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with Driver(variant, tmp_path, TMPDIR=str(temporary)) as driver:
        driver.load(zipped)
        with pytest.raises(Refused):
            driver.load(zipped, target="openvino")
    assert list(temporary.iterdir()) == []


def test_what_is_no_bundle_is_told(driver: Driver, tmp_path: Path) -> None:
    require_same_refusal(driver, tmp_path / "none.port")
    (tmp_path / "empty.port").mkdir()
    require_same_refusal(driver, tmp_path / "empty.port")
    (tmp_path / "text.port").write_text("no")
    require_same_refusal(driver, tmp_path / "text.port")


@pytest.mark.parametrize(
    "target", ["onnxruntime:cuda", "openvino", "x:y", "onnxruntime:cpu:cpu", ""]
)
def test_targets_are_chosen_in_the_same_words(driver: Driver, bundle: Path, target: str) -> None:
    if not target:
        assert driver.load(bundle, target="onnxruntime:fp32").startswith("onnxruntime:cpu:fp32")
        return
    with pytest.raises(ModelportError) as there:
        modelport.load(bundle, target)
    with pytest.raises(Refused) as here:
        driver.load(bundle, target=target)
    assert str(here.value) == str(there.value)


def test_a_pipeline_is_refused_and_its_stages_open(
    driver: Driver, deployed: modelport.Deployment, tmp_path: Path
) -> None:
    stage = Stage("only", str(deployed.path), {"image": "image"})
    (made,) = (spec.name for spec in modelport.load(deployed.path).signature.outputs)
    whole = join_stages([stage], tmp_path / "whole.port", outputs={"made": f"only.{made}"})
    with pytest.raises(
        Refused, match="pipeline of several models, which C\\+\\+ does not run"
    ) as caught:
        driver.load(whole)
    assert caught.value.kind == "UsageError"
    assert "load the folder of one of its stages" in str(caught.value)
    driver.load(whole / "stages" / "only")


@pytest.fixture(scope="module")
def with_operators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a library of operators, built here. It is not to be changed."""
    folder = tmp_path_factory.mktemp("operators")
    modelport.deploy(str(plugin_file(folder / "old.onnx", "HSwish")), folder / "old.port")
    return folder / "old.port"


class Elsewhere:
    """Another user's machine: nothing was built there, no key is known yet."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.keys = folder / "settings" / "modelport" / "keys"
        self.keys.mkdir(parents=True)
        self.variables = {
            "MODELPORT_CACHE": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "settings"),
        }
        for name, value in self.variables.items():
            patch.setenv(name, value)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    return Elsewhere(tmp_path / "elsewhere", monkeypatch)


def keys(folder: Path) -> tuple[Path, Path]:
    """A private and a public key, by OpenSSL."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make keys with")
    private, public = folder / "own.pem", folder / "own.pub.pem"
    make = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)]
    show = ["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)]
    for command in (make, show):
        subprocess.run(command, check=True, capture_output=True)
    return private, public


def sign(bundle: Path, private: Path) -> None:
    command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(private)]
    files = ["-in", str(bundle / "manifest.json"), "-out", str(bundle / "manifest.sig")]
    subprocess.run([*command, *files], check=True, capture_output=True)


def test_foreign_code_needs_trust(
    variant: str, with_operators: Path, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    with Driver(variant, tmp_path) as driver:
        said = require_same_refusal(driver, with_operators)
        assert "code that is not known here" in said
        driver.load(with_operators, trust=1)


def test_a_known_key_vouches_for_code(
    variant: str, with_operators: Path, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    bundle = Path(shutil.copytree(with_operators, tmp_path / "own.port"))
    private, public = keys(tmp_path)
    sign(bundle, private)
    with Driver(variant, tmp_path) as driver:
        assert "signed by no key" in require_same_refusal(driver, bundle)
        driver.load(bundle, key=public)
        shutil.copy(public, elsewhere.keys / "maker.pem")
        driver.load(bundle)
        data = (bundle / "manifest.sig").read_bytes()
        (bundle / "manifest.sig").write_bytes(flipped(data, 5))
        with pytest.raises(Refused, match="signed by no key"):
            driver.load(bundle)
        with pytest.raises(Refused, match="is not signed by"):
            driver.load(bundle, key=public)
        (bundle / "manifest.sig").unlink()
        with pytest.raises(Refused, match="the bundle is not signed"):
            driver.load(bundle, key=public)


def test_a_key_that_is_none_is_told(driver: Driver, bundle: Path, tmp_path: Path) -> None:
    (bundle / "manifest.sig").write_bytes(b"x" * 64)
    (tmp_path / "none.pem").write_text("no key")
    for name in ("none.pem", "missing.pem"):
        with pytest.raises(Refused, match="cannot read the key") as caught:
            driver.load(bundle, key=tmp_path / name)
        assert caught.value.kind == "UsageError"


def test_a_library_for_another_platform_is_told(
    driver: Driver, with_operators: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(with_operators, tmp_path / "far.port"))
    (own,) = (bundle / "operators").glob("linux-*")
    own.rename(own.with_name("linux-riscv64"))
    manifest = Manifest.parse((bundle / "manifest.json").read_bytes(), "")
    moved = {name.replace(own.name, "linux-riscv64"): item for name, item in manifest.files.items()}
    edit(bundle, files=moved)
    assert "no library of operators for linux-" in require_same_refusal(driver, bundle)


def test_the_headers_are_c_and_stand_alone() -> None:
    include = sdk("release") / "include"
    for header, language in (("modelport.h", "c"), ("modelport.hpp", "c++")):
        standard = "c99" if language == "c" else "c++17"
        flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-std={standard}"]
        command = ["g++" if language == "c++" else "gcc", *flags, f"-I{include}", "-x", language]
        text = f"#include <modelport/{header}>\n"
        done = subprocess.run([*command, "-"], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
