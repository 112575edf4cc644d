"""Bundles: everything that runs a model elsewhere, in one directory or zip file."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.bundle.join import join_stages
    from modelport.bundle.manifest import FORMAT, FileRecord, Manifest
    from modelport.bundle.reader import Bundle, load
    from modelport.bundle.selftest import EngineTest, SelfTest, self_test, verify
    from modelport.bundle.writer import BundleWriter, require_replaceable
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "manifest": ("FORMAT", "FileRecord", "Manifest"),
            "reader": ("Bundle", "load"),
            "selftest": ("EngineTest", "SelfTest", "self_test", "verify"),
            "join": ("join_stages",),
            "writer": ("BundleWriter", "require_replaceable"),
        },
    )

__all__ = [
    "FORMAT",
    "Bundle",
    "BundleWriter",
    "EngineTest",
    "FileRecord",
    "Manifest",
    "SelfTest",
    "join_stages",
    "load",
    "require_replaceable",
    "self_test",
    "verify",
]
