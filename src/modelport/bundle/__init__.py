"""Bundles: everything that runs a model elsewhere, in one directory or zip file."""

from modelport.bundle.manifest import FORMAT, Manifest
from modelport.bundle.reader import Bundle, load
from modelport.bundle.selftest import verify
from modelport.bundle.staging import join_stages
from modelport.bundle.writer import BundleWriter, require_replaceable

__all__ = [
    "FORMAT",
    "Bundle",
    "BundleWriter",
    "Manifest",
    "join_stages",
    "load",
    "require_replaceable",
    "verify",
]
