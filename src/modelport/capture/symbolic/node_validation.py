"""What is wrong with the nodes that a symbolic function emitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx
import onnx_ir as ir

from modelport.capture.symbolic.replay import Emitted
from modelport.errors import ExportError
from modelport.findings import Finding, Severity
from modelport.ir.domains import DEFAULT_DOMAIN, STANDARD_DOMAINS, schema_domain

HasKernel = Callable[[str, str], bool]
"""Whether an operator, by domain and type, has a kernel or a body."""


def has_standard_kernel(domain: str, op_type: str) -> bool:
    """Whether an operator is one of ONNX itself."""
    return domain in STANDARD_DOMAINS and onnx.defs.has(op_type, schema_domain(domain))


class Judge:
    """Looks at what symbolic functions emit, and collects findings.

    Attributes:
        findings: What was found so far, each thing once.
    """

    def __init__(self, has_kernel: HasKernel) -> None:
        self._has_kernel = has_kernel
        self.findings: list[Finding] = []

    def examine(
        self, emitted: Emitted, names: Mapping[ir.Value, str], operator: str, where: str, opset: int
    ) -> None:
        """Examines what one symbolic function emitted.

        Args:
            emitted: The nodes.
            names: The parameters' names of the operator's tensors.
            operator: The operator, for messages.
            where: ``file:line`` of the symbolic function.
            opset: The version of the default domain.

        Raises:
            ExportError: A node is not what its operator's schema at this opset allows.
        """
        for value in emitted.unused:
            self._add(
                Finding(
                    "symbolic-drops-operand",
                    Severity.WARNING,
                    f"The symbolic function of {operator} does not use the tensor "
                    f"{names.get(value, value.name)!r}: no node that it emits reads it.",
                    where,
                    "pass it on to g.op(...), or drop it from the operator",
                )
            )
        for node in emitted.nodes:
            _check_schema(node, operator, where, opset)
            named = (node.domain, node.op_type)
            if named in emitted.with_body or self._has_kernel(*named):
                continue
            self._add(
                Finding(
                    "no-kernel",
                    Severity.WARNING,
                    f"The symbolic function of {operator} emits {node.domain or 'ai.onnx'}::"
                    f"{node.op_type}, for which there is neither a kernel nor a function body.",
                    where,
                    "declare the operator and its kernel, or map the node to one that exists",
                )
            )

    def note_failed_run(self, error: Exception) -> None:
        """Notes that the model could not be run in eager mode."""
        self._add(
            Finding(
                "eager-run-failed",
                Severity.NOTE,
                "The model fails on its example inputs in eager mode, so that it is not known "
                f"which symbolic functions it meets: {type(error).__name__}: {error}",
                fix="pass example inputs that the model takes",
            )
        )

    def note_late_classes(self, places: Sequence[str]) -> None:
        """Notes that classes with `symbolic` were defined only while the model was exported."""
        for place in places:
            self._add(
                Finding(
                    "symbolic-defined-late",
                    Severity.WARNING,
                    "A class with `symbolic` was defined while the model was exported; where the "
                    "model applies it, its forward was exported instead.",
                    place,
                    "import the module that defines it before the export",
                )
            )

    def _add(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


def _check_schema(node: ir.Node, operator: str, where: str, opset: int) -> None:
    if node.domain not in DEFAULT_DOMAIN or not onnx.defs.has(node.op_type):
        return
    newest = min(opset, onnx.defs.onnx_opset_version())
    try:
        schema = onnx.defs.get_schema(node.op_type, newest, "")
    except onnx.defs.SchemaError as error:
        raise ExportError(
            f"the symbolic function of {operator} emits {node.op_type}, which opset {opset} "
            "does not have",
            where=where,
            why=str(error),
            fix="emit an operator of this opset (g.opset tells it), or export with another opset",
        ) from error
    problems = [f"attribute {name!r}" for name in node.attributes if name not in schema.attributes]
    if len(node.inputs) > schema.max_input:
        problems.append(f"{len(node.inputs)} inputs (at most {schema.max_input})")
    if problems:
        raise ExportError(
            f"the symbolic function of {operator} emits {node.op_type} with "
            f"{' and '.join(problems)}, which opset {opset} does not allow",
            where=where,
            why=f"{node.op_type} was changed in opset {schema.since_version}",
            fix="emit the newer form (g.opset tells the opset), "
            "or use a helper of torch.onnx.symbolic_helper that knows both",
        )
