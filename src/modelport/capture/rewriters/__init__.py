"""Rewriters: replacing functions, methods and modules while a model is exported."""

from modelport.capture.rewriters.registry import (
    Registration,
    common_target,
    register_module_rewrite,
    register_rewrite,
    registrations,
    rewrite,
    rewrite_module,
    same_rewrites,
    unregister,
)
from modelport.capture.rewriters.report import Active, Applied, Context
from modelport.capture.rewriters.scope import rewriting

__all__ = [
    "Active",
    "Applied",
    "Context",
    "Registration",
    "common_target",
    "register_module_rewrite",
    "register_rewrite",
    "registrations",
    "rewrite",
    "rewrite_module",
    "rewriting",
    "same_rewrites",
    "unregister",
]
