"""Rewrites that make a graph acceptable to OpenVINO."""

from modelport.backends.openvino.legalize.pipeline import prepare_for_openvino

__all__ = ["prepare_for_openvino"]
