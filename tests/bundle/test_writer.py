from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from modelport import ProofError, UsageError
from modelport.bundle import BundleWriter, Manifest, require_replaceable
from modelport.bundle.writer import CASES_BUDGET
from modelport.numerics import Case, ReferenceCase
from modelport.signature import Signature
from tests.support import block_recipe, snapshot

EMPTY = Manifest("none", Signature((), ()), {})


def write(path: Path, text: str, zipped: bool = False) -> None:
    with BundleWriter(path, zipped=zipped) as writer:
        (writer.folder / "graphs").mkdir()
        (writer.folder / "graphs" / "a.txt").write_text(text)
        writer.commit(EMPTY)


def case(name: str, count: int) -> ReferenceCase:
    array = np.random.default_rng(0).random(count)
    return ReferenceCase(Case(name, {"x": array}, "drawn"), {"y": array[:1]})


def content(path: Path) -> str:
    if path.is_dir():
        return (path / "graphs" / "a.txt").read_text()
    with zipfile.ZipFile(path) as archive:
        return archive.read("graphs/a.txt").decode()


@pytest.mark.parametrize("zipped", [False, True])
def test_nothing_but_the_bundle_is_left(tmp_path: Path, zipped: bool) -> None:
    write(tmp_path / "a.port", "one", zipped)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.port"]
    assert (tmp_path / "a.port").is_dir() is not zipped
    assert content(tmp_path / "a.port") == "one"


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_older_bundle_is_replaced(tmp_path: Path, before: bool, after: bool) -> None:
    path = tmp_path / "a.port"
    write(path, "old", before)
    write(path, "new", after)
    assert content(path) == "new"
    assert path.is_dir() is not after
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.port"]


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.port").mkdir()
    write(tmp_path / "a.port", "new")
    assert content(tmp_path / "a.port") == "new"


def other_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")


def other_file(path: Path) -> None:
    path.write_text("years of work")


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thesis.tex", "years of work")


@pytest.mark.parametrize("make", [other_folder, other_file, other_zip])
def test_what_is_no_bundle_is_untouched(tmp_path: Path, make: object) -> None:
    path = tmp_path / "a.port"
    make(path)  # type: ignore[operator]
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match="exists and is not a bundle"):
        write(path, "new")
    with pytest.raises(UsageError, match="exists and is not a bundle"):
        modelport.deploy(block_recipe(), path)
    assert snapshot(tmp_path) == before


def test_missing_parent_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory"):
        require_replaceable(tmp_path / "nowhere" / "a.port")


def test_what_is_not_committed_is_removed(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "a.port") as writer:
        (writer.folder / "half.txt").write_text("half")
    assert list(tmp_path.iterdir()) == []


class Sized(torch.nn.Module):
    """Computes with a size in Python, which tracing makes a constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / float(int(x.shape[0]) ** 2)


@pytest.mark.parametrize("zipped", [False, True])
def test_failing_deployment_leaves_the_older_bundle(
    deployed: modelport.Deployment, tmp_path: Path, zipped: bool
) -> None:
    shutil.copytree(deployed.path, tmp_path / "a.port")
    before = snapshot(tmp_path)
    recipe = modelport.Recipe(
        Sized(), (torch.rand(4, 3),), dynamic={"x": {0: "n"}}, capture="trace"
    )
    with pytest.raises(ProofError, match="does not compute"):
        modelport.deploy(recipe, tmp_path / "a.port", zipped=zipped)
    assert snapshot(tmp_path) == before


def test_files_have_the_usual_rights(tmp_path: Path) -> None:
    write(tmp_path / "a.port", "one")
    (tmp_path / "plain").mkdir()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.port", "plain")]
    assert modes[0] == modes[1]


def test_manifest_as_written_has_every_files_checksum(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "a.port") as writer:
        (writer.folder / "b.txt").write_text("b")
        paths = writer.add_cases([case("example", 3)])
        manifest = writer.commit(EMPTY)
    assert paths == ("cases/example.npz",)
    assert set(manifest.files) == {"b.txt", "cases/example.npz"}
    assert Manifest.parse((tmp_path / "a.port" / "manifest.json").read_bytes(), "") == manifest


def test_cases_are_kept_up_to_the_budget_smallest_first(tmp_path: Path) -> None:
    large = CASES_BUDGET // 8
    references = [case("example", large), case("small", 4), case("middle", 100)]
    with BundleWriter(tmp_path / "a.port") as writer:
        assert writer.add_cases(references) == ("cases/small.npz", "cases/middle.npz")


def test_a_case_beyond_the_budget_is_kept_where_it_is_the_only_one(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "a.port") as writer:
        assert writer.add_cases([case("example", CASES_BUDGET)]) == ("cases/example.npz",)
