"""Backends: what runs a graph. One folder each, with the same three files."""

from modelport.backends.diagnosis import CAPABILITY_HEADS, Diagnosis, capability_rows, doctor
from modelport.backends.interface import Backend, Binding, Capabilities, Engine, Probe
from modelport.backends.linting import lint_rules
from modelport.backends.loader import REFERENCE_OPTIONS, REFERENCE_RUNTIME, open_engine
from modelport.backends.registry import BACKENDS, backend_names, get_backend

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
