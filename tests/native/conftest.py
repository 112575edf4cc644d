"""Bundles for the C API."""

from tests.runtime.conftest import rows

__all__ = ["rows"]
