from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import modelport

LAZY = [
    package
    for package in (
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages(modelport.__path__, "modelport.")
        if info.ispkg and "library" not in info.name
    )
    if getattr(vars(package).get("__getattr__"), "__module__", "") == "modelport.lazy"
]
"""Packages that import on first use; those under old names only hand names on."""


@pytest.mark.parametrize("package", [modelport, *LAZY], ids=lambda package: package.__name__)
def test_package_shows_its_public_names(package: ModuleType) -> None:
    assert dir(package) == sorted(package.__all__)
    for name in set(package.__all__) - {"__version__"}:
        assert getattr(package, name) is vars(package)[name]
    with pytest.raises(AttributeError, match=f"{package.__name__}.* has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_a_module_of_a_package_is_its_attribute() -> None:
    program = (
        "import sys, modelport\nassert 'modelport.graph' not in sys.modules\n"
        "assert modelport.graph.builder.build is modelport.graph.build"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_packages_that_the_road_needs_are_lazy() -> None:
    names = {package.__name__.removeprefix("modelport.") for package in LAZY}
    assert {
        "backends",
        "bundle",
        "capture",
        "graph",
        "ops",
        "numerics",
        "passes",
        "report",
    } <= names
