"""Old names of public modules work, and warn."""

from __future__ import annotations

import importlib

import pytest

RENAMED = {
    "modelport.backends.interface": ("modelport.backends.base", ["Artifact", "Backend"]),
    "modelport.pictures": ("modelport.files.images", ["read", "write", "to_nchw", "from_nchw"]),
    "modelport.proof": ("modelport.numerics", ["tolerance_for", "node_tolerance_for"]),
    "modelport.ops.folders": ("modelport.ops.scaffold", ["load_folder"]),
    "modelport.ops.plugins": (
        "modelport.backends.tensorrt.plugins",
        ["PluginLibrary", "build_plugins", "load_plugins"],
    ),
    "modelport.ops.plugins.ahead": (
        "modelport.backends.tensorrt.plugins.ahead_of_time",
        ["register_ahead", "compile_ahead"],
    ),
    "modelport.ops.plugins.ahead_of_time": (
        "modelport.backends.tensorrt.plugins.ahead_of_time",
        ["register_ahead", "compile_ahead"],
    ),
    "modelport.ops.plugins.python_plugin": (
        "modelport.backends.tensorrt.plugins.python_plugin",
        ["make_creator"],
    ),
}


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_module_warns_and_hands_out_the_new_names(old: str) -> None:
    new, names = RENAMED[old]
    for name in names:
        with pytest.warns(DeprecationWarning, match=f"{old} was renamed: import {name} from {new}"):
            value = getattr(importlib.import_module(old), name)
        assert value is getattr(importlib.import_module(new), name)


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_module_has_no_other_names(old: str) -> None:
    with pytest.raises(AttributeError):
        _ = importlib.import_module(old).no_such_name
