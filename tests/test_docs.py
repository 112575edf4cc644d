"""The README's and the documentation's code runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.native_build import require_buildable
from tests.warm import Warm

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)

KINDS = {"sh", "python", "text", "toml"}
"""Kinds of blocks: the first two run; text and TOML are shown."""
SLOW = {"bisect", "capture", "compare", "cpp", "detector", "operator-lookup"}
"""Pages whose commands take longer than `make test` can wait; `make test-all` runs them."""


@pytest.fixture
def commands(request: pytest.FixtureRequest) -> dict[str, str]:
    """Variables of a shell that finds ``modelport`` and ``python``.

    `make docs-test` starts each command anew, as a reader does; `make test` forks it from a process
    that has imported PyTorch already.
    """
    if os.environ.get("MODELPORT_DOCS") == "cold":
        return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    warm: Warm = request.getfixturevalue("warm")
    return warm.environment


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page.stem in SLOW))
        for page in PAGES
    ],
)
def test_page_runs(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "TENSORRT_INCLUDE_DIR" in page.read_text():
        request.getfixturevalue("tensorrt_headers")
    if "cmake -S src/modelport/native" in page.read_text():
        require_buildable()
    unknown = {kind for kind, _ in BLOCK.findall(page.read_text())} - KINDS
    assert not unknown, f"blocks of {unknown} are not run"
    blocks = [(kind, code) for kind, code in BLOCK.findall(page.read_text()) if kind != "text"]
    for folder in ("docs", "examples", "src"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "build").mkdir()
    environment = os.environ | request.getfixturevalue("commands")
    python = "\n".join(code for kind, code in blocks if kind == "python")
    runs = [("sh", code) for kind, code in blocks if kind == "sh"] + [("python", python)]
    for kind, code in runs:
        command = ["sh", "-ec", code] if kind == "sh" else ["python", "-c", code]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", BLOCK.sub("", page.read_text()))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
