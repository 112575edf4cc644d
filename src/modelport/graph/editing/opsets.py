"""Another opset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelport.errors import PassError, UsageError
from modelport.graph.copies import AnyModel, changed

if TYPE_CHECKING:
    import onnx_ir


def convert_opset(model: AnyModel, version: int) -> AnyModel:
    """Rewrites a model for another opset of the default domain, by ONNX's own converter.

    Args:
        model: The model; it stays as it is.
        version: The opset.

    Raises:
        UsageError: There is no such opset.
        PassError: The converters cannot do it: an operator changed in a way that they do not know.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not 7 <= version <= newest:
        raise UsageError(f"there is no opset {version} to convert to", fix=f"from 7 to {newest}")

    def apply(ir: onnx_ir.Model) -> None:
        import onnx_ir

        before = ir.opset_imports.get("", version)
        if version == before:
            return
        try:
            proto = onnx.version_converter.convert_version(onnx_ir.to_proto(_loaded(ir)), version)
        except (RuntimeError, ValueError) as error:
            raise PassError(
                f"the model cannot be converted from opset {before} to {version}",
                why=" ".join(str(error).split())[:500],
                fix="export the model anew with that opset",
            ) from error
        new = onnx_ir.from_proto(proto)
        ir.graph = new.graph
        ir.graph.opset_imports[""] = version
        ir.functions.clear()
        ir.functions.update(new.functions)

    return changed(model, apply)


def _loaded(ir: onnx_ir.Model) -> onnx_ir.Model:
    import onnx_ir

    onnx_ir.external_data.load_to_model(ir)
    return ir
