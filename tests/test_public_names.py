from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import modelport

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(modelport.__path__, "modelport.")
    if not info.name.endswith("__main__")
)
PACKAGES = sorted(
    info.name for info in pkgutil.walk_packages(modelport.__path__, "modelport.") if info.ispkg
)
PRESCRIBED = {"probe", "compile"}
"""Functions that a backend must offer, which lie in modules of their names."""


def public_members(kind: type) -> list[tuple[str, Any]]:
    own = vars(kind).items()
    return [(name, value) for name, value in own if not name.startswith("_") and _is_code(value)]


def _is_code(value: Any) -> bool:
    return inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod)


def own_definitions(module: ModuleType) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]


@pytest.mark.parametrize("name", sorted(set(modelport.__all__) - {"__version__"}))
def test_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(modelport, name)
    assert value.__doc__
    assert value.__doc__.strip()
    assert name in dir(modelport)


def test_public_names_are_listed_once_and_in_order_of_their_kind() -> None:
    assert len(modelport.__all__) == len(set(modelport.__all__))
    assert modelport.__version__


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        modelport.nothing  # noqa: B018


def test_nothing_else_shows_in_the_package() -> None:
    modules = {name.split(".")[1] for name in MODULES}
    shown = {name for name in dir(modelport) if not name.startswith("_")}
    assert shown - modules <= set(modelport.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_package_lists_all_that_it_shows(package: str) -> None:
    module = importlib.import_module(package)
    listed = getattr(module, "__all__", [])
    assert len(listed) == len(set(listed))
    for name in listed:
        assert hasattr(module, name)
    shown = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    assert shown <= set(listed)


@pytest.mark.parametrize("package", ["modelport", *PACKAGES])
def test_no_public_function_has_the_name_of_a_submodule(package: str) -> None:
    module = importlib.import_module(package)
    submodules = {info.name for info in pkgutil.iter_modules(module.__path__)}
    allowed = PRESCRIBED if package.startswith("modelport.backends.") else set()
    assert not (set(getattr(module, "__all__", [])) & submodules) - allowed


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    missing = []
    for own, value in own_definitions(module):
        if not inspect.getdoc(value):
            missing.append(own)
        if inspect.isclass(value):
            missing += [
                f"{own}.{member}"
                for member, code in public_members(value)
                if not getattr(code, "__doc__", None)
            ]
    # What only the command line itself sees is exempt.
    if name.startswith("modelport.cli"):
        missing = [
            entry
            for entry in missing
            if entry.partition(".")[0] in module.__dict__.get("__all__", [])
        ]
    assert missing == []
