"""The wheel has all that it needs, and runs where nothing else is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

import modelport
from modelport.bundle.dockerfile import write_container

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "modelport"
LIGHT = ("numpy", "onnxruntime", "pillow", "rich")


def tracked_files() -> list[Path]:
    """What belongs to the package: the files that git knows, or else all that lie there."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", str(SOURCE)]
        listed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        paths = [path for path in SOURCE.rglob("*") if "__pycache__" not in path.parts]
    return [path for path in paths if path.is_file()]


def run(*command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # From a copy, so that nothing is written beside the sources.
    copy = tmp_path_factory.mktemp("source")
    for path in tracked_files():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, copy)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(
    scope="module", params=["linked", pytest.param("installed", marks=pytest.mark.slow)]
)
def bare(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The programs of an environment with the wheel and what it says it needs.

    Linked: the packages that its metadata name are those that are here, so that nothing is
    downloaded; installed: pip does it.
    """
    folder = tmp_path_factory.mktemp("bare")
    if request.param == "linked":
        link_environment(wheel, folder)
    else:
        run(sys.executable, "-m", "venv", folder)
        pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet")
        run(*pip, "--constraint", ROOT / "constraints.txt", wheel)
    return folder / "bin"


def link_environment(wheel: Path, folder: Path) -> None:
    """Makes an environment of a wheel and of links to the packages that it requires."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (own,) = packages.glob("modelport-*.dist-info")
    (program,) = metadata.Distribution.at(own).entry_points.select(group="console_scripts")
    script = folder / "bin" / program.name
    module, _, function = program.value.partition(":")
    code = f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
    script.write_text(f"#!{folder / 'bin' / 'python'}\n{code}")
    script.chmod(0o755)
    for distribution in required(metadata.Distribution.at(own)):
        for top in {Path(str(file)).parts[0] for file in distribution.files or ()} - {".."}:
            place = packages / top
            if not place.exists():
                place.symlink_to(str(distribution.locate_file(top)))


def required(distribution: metadata.Distribution) -> list[metadata.Distribution]:
    """The distributions that one requires without extras, directly or not, as they are here."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [distribution]
    while waiting:
        for line in waiting.pop().requires or ():
            requirement = Requirement(line)
            needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if needed and requirement.name not in found:
                found[requirement.name] = metadata.distribution(requirement.name)
                waiting.append(found[requirement.name])
    return list(found.values())


def test_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    wanted = {path.relative_to(SOURCE.parent).as_posix() for path in tracked_files()}
    assert "modelport/py.typed" in wanted
    assert any(name.endswith(".html") for name in wanted)
    assert wanted <= inside


def test_wheel_has_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        places = {name.split("/")[0] for name in archive.namelist()}
        metadata = [name for name in archive.namelist() if name.endswith("METADATA")]
        text = archive.read(metadata[0]).decode()
    assert places == {"modelport", f"modelport-{modelport.__version__}.dist-info"}
    assert f"Version: {modelport.__version__}" in text
    # The light runtime must not ask for torch.
    required = [line for line in text.splitlines() if line.startswith("Requires-Dist:")]
    light = {line.split()[1].split(">")[0] for line in required if "extra ==" not in line}
    assert light == set(LIGHT)


def test_bare_environment_imports_and_tells_the_version(bare: Path) -> None:
    program = (
        "import importlib.util, modelport; assert importlib.util.find_spec('torch') is None;"
        "print(modelport.__file__)"
    )
    place = run(bare / "python", "-I", "-c", program).stdout.strip()
    assert Path(place).is_relative_to(bare.parent)
    assert (
        run(bare / "modelport", "--version").stdout.strip() == f"modelport {modelport.__version__}"
    )


def test_bare_environment_runs_and_verifies_a_bundle(
    bare: Path, deployed: modelport.Deployment, tmp_path: Path
) -> None:
    image = (np.random.default_rng(0).random((1, 3, 20, 24)) * 255).astype(np.float32)
    np.save(tmp_path / "in.npy", image)
    options = (
        "--input",
        f"image=@{tmp_path / 'in.npy'}",
        "--output",
        f"result=@{tmp_path / 'out.npy'}",
    )
    run(bare / "modelport", "run", deployed.path, *options)
    wanted = modelport.load(deployed.path).run({"image": image})["result"]
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), wanted, rtol=1e-5, atol=1e-3)
    assert "agrees" in run(bare / "modelport", "verify", deployed.path).stdout


def test_bare_environment_has_a_doctor(bare: Path) -> None:
    said = run(bare / "modelport", "doctor").stdout
    assert "ok onnxruntime" in said
    assert "-- torch" in said
    assert "'torch" in said


@pytest.mark.parametrize("command", ["export", "deploy"])
def test_bare_environment_says_which_extra_exports(
    bare: Path, recipe_file: Path, tmp_path: Path, command: str
) -> None:
    done = run(bare / "modelport", command, recipe_file, "-o", tmp_path / "y", check=False)
    assert done.returncode == 2
    assert "'torch" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_bare_environment_says_which_extra_checks(
    bare: Path, onnx_file: Path, tmp_path: Path
) -> None:
    for argv in (("check", onnx_file), ("deploy", onnx_file, "-o", tmp_path / "y")):
        done = run(bare / "modelport", *argv, check=False)
        assert done.returncode == 2
        assert "'torch" in done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_lines_of_a_dockerfile_work(wheel: Path, bundle: Path, tmp_path: Path) -> None:
    """What docker build would do, in an environment of its own."""
    folder = write_container(bundle, tmp_path / "image", wheel=wheel)
    programs = tmp_path / "venv" / "bin"
    run(sys.executable, "-m", "venv", programs.parent)
    lines = [line.split(" ", 1) for line in (folder / "Dockerfile").read_text().splitlines()]
    (install,) = [words for kind, words in lines if kind == "RUN" and words.startswith("pip")]
    command = [programs / "pip", *install.split()[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    started = dict(lines)
    (program,) = json.loads(started["ENTRYPOINT"])
    command = [programs / program, *json.loads(started["CMD"])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "agrees on" in done.stdout
    assert not list((programs.parent / "lib").glob("python*/site-packages/torch"))
