"""Backends: what runs a graph. One folder each, with the same three files."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.backends.base import Backend, Binding, Capabilities, Engine, Probe
    from modelport.backends.doctor_report import (
        CAPABILITY_HEADS,
        Diagnosis,
        capability_rows,
        doctor,
    )
    from modelport.backends.loader import REFERENCE_OPTIONS, REFERENCE_RUNTIME, open_engine
    from modelport.backends.registry import BACKENDS, backend_names, get_backend
    from modelport.backends.rule_lookup import lint_rules
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "doctor_report": ("CAPABILITY_HEADS", "Diagnosis", "capability_rows", "doctor"),
            "base": ("Backend", "Binding", "Capabilities", "Engine", "Probe"),
            "rule_lookup": ("lint_rules",),
            "loader": ("REFERENCE_OPTIONS", "REFERENCE_RUNTIME", "open_engine"),
            "registry": ("BACKENDS", "backend_names", "get_backend"),
        },
    )

__all__ = [
    "BACKENDS",
    "CAPABILITY_HEADS",
    "REFERENCE_OPTIONS",
    "REFERENCE_RUNTIME",
    "Backend",
    "Binding",
    "Capabilities",
    "Diagnosis",
    "Engine",
    "Probe",
    "backend_names",
    "capability_rows",
    "doctor",
    "get_backend",
    "lint_rules",
    "open_engine",
]
