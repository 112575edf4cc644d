"""An ONNX operator's versions, read from the schemas that the onnx package carries."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelport.errors import UsageError
from modelport.ir.domains import schema_domain
from modelport.ops.catalog.changes import changes
from modelport.ops.catalog.kernels import KernelSource, cpu_kernels
from modelport.ops.catalog.versions import Attribute, OperatorVersion, Parameter


@dataclass(frozen=True)
class OnnxOperator:
    """An ONNX operator with all its versions.

    Attributes:
        name: Its name.
        domain: Its domain; empty for the default one.
        versions: Its versions, oldest first.
        kernel_source: How ONNX Runtime's kernels were found out: from the runtime's own list, by
            a probe, or not at all.
    """

    name: str
    domain: str
    versions: tuple[OperatorVersion, ...]
    kernel_source: KernelSource

    @property
    def qualified_name(self) -> str:
        """``domain::name``, or the name alone in the default domain."""
        return f"{self.domain}::{self.name}" if self.domain else self.name

    @property
    def since(self) -> int:
        """The first opset that has the operator."""
        return self.versions[0].since

    def at(self, opset: int) -> OperatorVersion:
        """The version that holds at an opset of the operator's domain.

        Args:
            opset: The opset.

        Returns:
            The version.

        Raises:
            UsageError: The operator is younger than this opset.
        """
        held = [version for version in self.versions if version.since <= opset]
        if not held:
            raise UsageError(
                f"opset {opset} has no {self.qualified_name}",
                why=f"the operator exists since opset {self.since}",
                fix=f"use opset {self.since} or newer",
            )
        return held[-1]

    def to_json(self) -> dict[str, Any]:
        """The operator as plain dicts and lists."""
        return asdict(self) | {"kernel_source": str(self.kernel_source)}


def describe(name: str, *, kernels: bool = True) -> OnnxOperator:
    """Looks an ONNX operator up.

    Args:
        name: ``Resize``, or ``domain::name`` as in ``ai.onnx.ml::Scaler``. Case matters.
        kernels: Whether to find out which CPU kernels the installed ONNX Runtime has.

    Returns:
        The operator with its versions, what changed between them, and the kernels.

    Raises:
        UsageError: ONNX has no such operator; names that come close are given.
    """
    domain, name = _resolve(name)
    schemas = histories()[domain, name]
    source, found = cpu_kernels(domain, name, schemas) if kernels else (KernelSource.SKIPPED, {})
    versions: list[OperatorVersion] = []
    for position, schema in enumerate(schemas):
        newer = schemas[position + 1].since_version - 1 if position + 1 < len(schemas) else None
        versions.append(
            OperatorVersion(
                since=schema.since_version,
                until=newer,
                deprecated=schema.deprecated,
                inputs=tuple(map(_parameter, schema.inputs)),
                outputs=tuple(map(_parameter, schema.outputs)),
                attributes=tuple(_attribute(a) for _, a in sorted(schema.attributes.items())),
                changes=(),
                function_body=schema.has_function or schema.has_context_dependent_function,
                text=(schema.doc or "").strip(),
                kernels=found.get(schema.since_version),
            )
        )
    return OnnxOperator(name, domain, changes(versions), source)


def first_opset(name: str) -> int | None:
    """The first opset that has an operator of a name, or None where ONNX has none."""
    domain, _, short = name.rpartition("::")
    schemas = histories().get((domain, short))
    return schemas[0].since_version if schemas else None


def version_at(name: str, opset: int) -> int | None:
    """The version of an operator that holds at an opset, or None where there is none."""
    domain, _, short = name.rpartition("::")
    schemas = histories().get((domain, short), ())
    held = [schema.since_version for schema in schemas if schema.since_version <= opset]
    return held[-1] if held else None


def same_name(name: str) -> str | None:
    """The ONNX operator whose name is this one but for upper case and underscores, or None."""
    wanted = name.replace("_", "").casefold()
    for domain, other in sorted(histories()):
        if other.casefold() == wanted:
            return f"{domain}::{other}" if domain else other
    return None


@functools.cache
def histories() -> Mapping[tuple[str, str], tuple[Any, ...]]:
    """Every operator's schemas, oldest first, by domain and name.

    They are `onnx.defs.OpSchema`, whose type stub lacks half of what the class has: hence Any.
    """
    import onnx.defs

    found: dict[tuple[str, str], list[Any]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        found.setdefault((schema.domain, schema.name), []).append(schema)
    return {
        key: tuple(sorted(schemas, key=lambda schema: schema.since_version))
        for key, schemas in sorted(found.items())
    }


def _resolve(name: str) -> tuple[str, str]:
    domain, separator, short = name.rpartition("::")
    domain = schema_domain(domain)
    known = histories()
    candidates = [key for key in known if key[1] == short and (not separator or key[0] == domain)]
    if candidates:
        return candidates[0]
    spelled = same_name(short)
    close = [spelled] if spelled else _close_names(short)
    raise UsageError(
        f"ONNX has no operator {name!r}",
        why="names are case-sensitive" if spelled else None,
        fix=f"did you mean {' or '.join(close)}?" if close else "search: modelport ops find TEXT",
    )


def _close_names(name: str) -> list[str]:
    return difflib.get_close_matches(name, sorted({other for _, other in histories()}), n=3)


def _parameter(formal: Any) -> Parameter:
    option = formal.option.name
    return Parameter(
        name=formal.name,
        constraint=formal.type_str,
        types=tuple(sorted(formal.types)),
        optional=option == "Optional",
        variadic=option == "Variadic",
    )


def _attribute(attribute: Any) -> Attribute:
    return Attribute(
        attribute.name,
        attribute.type.name,
        attribute.required,
        _default(attribute),
        (attribute.description or "").strip(),
    )


def _default(attribute: Any) -> Any:
    """The default as a plain Python value; a float as the decimal that was meant."""
    import numpy as np
    from onnx import AttributeProto, helper

    proto = attribute.default_value
    if proto.type == AttributeProto.UNDEFINED:
        return None
    value = helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float):
        return float(str(np.float32(value)))
    if isinstance(value, int):
        return value
    if isinstance(value, (list, tuple)) or hasattr(value, "__iter__"):
        return [item.decode() if isinstance(item, bytes) else item for item in value]
    return str(value)
