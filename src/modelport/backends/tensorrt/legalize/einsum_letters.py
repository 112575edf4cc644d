"""Einsum whose equation has capital letters, with small ones."""

from __future__ import annotations

import string
from collections.abc import Sequence

import onnx_ir as ir

from modelport.passes.expand import Expansion, Writer


class SpellEquations(Expansion):
    """`Einsum` with other letters: TensorRT knows the 26 small ones alone."""

    operators = ("Einsum",)
    lacking = "capital letters in equations"
    instead = "small ones"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the same sum.

        One of more than 26 letters stays, and one without an arrow, where letters say the order of
        the output's axes.
        """
        equation = node.attributes["equation"].as_string()
        letters = list(dict.fromkeys(letter for letter in equation if letter.isalpha()))
        if not any(letter.isupper() for letter in letters) or "->" not in equation:
            return None
        if len(letters) > len(string.ascii_lowercase):
            return None
        spelled = str.maketrans(dict(zip(letters, string.ascii_lowercase, strict=False)))
        return [write("Einsum", *node.inputs, equation=equation.translate(spelled))]
