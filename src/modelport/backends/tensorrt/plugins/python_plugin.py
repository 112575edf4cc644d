"""A plugin in Python over the kernels of a library: for quick work, without a compiler for C++.

Written against the module ``tensorrt`` of TensorRT 10 and later; it has not run on hardware. An
engine that uses it runs in this process alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelport.backends.tensorrt.plugins.fields import DATA_TYPES
from modelport.backends.tensorrt.plugins.sizes import Sizes, too_much
from modelport.errors import OperatorError
from modelport.ops.ctypes_library import BoundKernel, NativeKernel, NativeLibrary, pack_shapes
from modelport.ops.declaration import Operator
from modelport.ops.schema import Attribute, join_texts
from modelport.ops.shapes import DataDependent, TensorInfo

_NAMES = {number: name for name, number in DATA_TYPES.items()}


def make_creator(operator: Operator, library: NativeLibrary, tensorrt: Any) -> Any:
    """A creator of Python plugins, to register with TensorRT.

    ``tensorrt.get_plugin_registry().register_creator(creator, "")`` registers it; plugin and
    creator have the operator's name, its domain as namespace, and version 1.

    Args:
        operator: The operator.
        library: A library with its CUDA kernels, of either sort.
        tensorrt: The module ``tensorrt``.

    Returns:
        A ``tensorrt.IPluginCreatorV3One``.

    Raises:
        OperatorError: The library has no CUDA kernel of the operator; or the operator has inputs
            in the memory of the CPU, a list of inputs, or optional ones, which need the library
            of plugins.
    """
    kernels = [
        item
        for item in library.kernels
        if item.operator == operator.schema.name
        and item.device == "cuda"
        and {*item.dtypes, *item.output_dtypes} <= set(DATA_TYPES)
    ]
    if not kernels:
        raise OperatorError(
            f"{library.path.name} has no CUDA kernel of {operator.qualified_name} for tensors that "
            "plugins have",
            where=str(library.path),
            fix="build it with its CUDA kernels: modelport ops build --cuda",
        )
    if any(item.host_inputs for item in kernels):
        raise too_much(operator, "its kernel wants inputs in the memory of the CPU")
    if any(item.kind != "In" for item in operator.schema.inputs):
        raise too_much(operator, "it has inputs that may be absent, or a list of them")
    bases = (
        *(_Plugin, tensorrt.IPluginV3, tensorrt.IPluginV3OneCore),
        *(tensorrt.IPluginV3OneBuild, tensorrt.IPluginV3OneRuntime),
    )
    plugin = type("Plugin", bases, {"bases": bases[1:]})

    def create(values: Mapping[str, Any]) -> Any:
        return plugin(operator, library, kernels, tensorrt, values)

    return _creator(operator, tensorrt, create)


def _creator(operator: Operator, tensorrt: Any, create: Callable[[Mapping[str, Any]], Any]) -> Any:
    class Creator(tensorrt.IPluginCreatorV3One):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.IPluginCreatorV3One.__init__(self)
            self.name = operator.schema.name
            self.plugin_namespace = operator.schema.domain
            self.plugin_version = "1"
            self.field_names = tensorrt.PluginFieldCollection(
                [
                    tensorrt.PluginField(item.name, np.zeros(0), _field_type(item, tensorrt))
                    for item in operator.schema.attributes
                ]
            )

        def create_plugin(self, name: str, fields: Any, phase: Any) -> Any:
            given = {field.name: field.data for field in fields}
            return create(_values(operator, given))

    return Creator()


def _values(operator: Operator, given: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of an operator from the data of fields."""
    known = {item.name: item for item in operator.schema.attributes}
    unknown = set(given) - set(known)
    missing = [name for name, item in known.items() if item.required and name not in given]
    if unknown or missing:
        raise OperatorError(
            f"a plugin of {operator.qualified_name} cannot be created",
            why=f"fields that it does not know: {', '.join(sorted(unknown)) or 'none'}; attributes "
            f"that are missing: {', '.join(missing) or 'none'}",
        )
    read = {name: _read(known[name], data) for name, data in given.items()}
    return {**operator.schema.defaults, **read}


def _read(attribute: Attribute, data: Any) -> Any:
    kind = attribute.kind
    if kind in ("str", "list[str]"):
        text = bytes(data).decode() if not isinstance(data, str) else data
        text = text.rstrip("\0")
        return text if kind == "str" else text.split("\x1f")[:-1]
    convert = {"int": int, "bool": bool, "float": float}[kind.removeprefix("list[").rstrip("]")]
    numbers = [convert(number) for number in np.asarray(data).reshape(-1).tolist()]
    return numbers if kind.startswith("list[") else numbers[0]


def _field_type(attribute: Attribute, tensorrt: Any) -> Any:
    types = tensorrt.PluginFieldType
    if "str" in attribute.kind:
        return types.CHAR
    return types.FLOAT64 if "float" in attribute.kind else types.INT64


class _Plugin:
    """What a plugin does; TensorRT's interfaces are its further bases."""

    bases: tuple[Any, ...] = ()

    def __init__(
        self,
        operator: Operator,
        library: NativeLibrary,
        kernels: Sequence[NativeKernel],
        tensorrt: Any,
        values: Mapping[str, Any],
    ) -> None:
        for base in self.bases:
            base.__init__(self)
        self._operator = operator
        self._library = library
        self._kernels = kernels
        self._tensorrt = tensorrt
        self._given = dict(values)
        # As TensorRT told them when it asked for those of the outputs.
        self._types: list[str] = []
        self._bound: BoundKernel | None = None
        self._shapes = b""
        self._kept: list[Any] = []
        self.plugin_name = operator.schema.name
        self.plugin_version = "1"
        self.plugin_namespace = operator.schema.domain
        self.num_outputs = len(operator.schema.outputs)

    def get_capability_interface(self, kind: Any) -> Any:
        """The plugin has all three capabilities itself."""
        return self

    def clone(self) -> Any:
        """A plugin with the same attributes."""
        made = type(self)(self._operator, self._library, self._kernels, self._tensorrt, self._given)
        made._types, made._bound, made._shapes = self._types, self._bound, self._shapes
        return made

    def attach_to_context(self, context: Any) -> Any:
        """A clone: there is nothing to attach."""
        return self.clone()

    def get_output_data_types(self, input_types: Sequence[Any]) -> list[Any]:
        """Those of the kernel for the inputs."""
        self._types = [_name(item) for item in input_types]
        kernel = self._kernel(self._types)
        return [self._tensorrt.DataType(DATA_TYPES[name]) for name in kernel.output_dtypes]

    def get_output_shapes(self, inputs: Any, shape_inputs: Any, expr_builder: Any) -> list[Any]:
        """The shape rule, run on expressions."""
        sizes = Sizes(expr_builder, self._tensorrt, self._operator)
        infos = [
            TensorInfo([sizes.of(dims[axis]) for axis in range(len(dims))], self._types[place])
            for place, dims in enumerate(inputs)
        ]
        made = []
        for info in self._operator.infer(infos, self._given):
            if any(isinstance(dim, DataDependent) for dim in info.shape):
                raise too_much(self._operator, "values decide sizes of its outputs")
            dims = self._tensorrt.DimsExprs(len(info.shape))
            for axis, dim in enumerate(info.shape):
                dims[axis] = sizes.expression(dim)
            made.append(dims)
        return made

    def supports_format_combination(self, pos: int, in_out: Sequence[Any], num_inputs: int) -> bool:
        """Whether a kernel has the types so far, without any special layout."""
        if in_out[pos].desc.format != self._tensorrt.TensorFormat.LINEAR:
            return False
        known = [_name(item.desc.type) for item in in_out[: pos + 1]]
        return any(
            [*item.dtypes, *item.output_dtypes][: len(known)] == known for item in self._kernels
        )

    def configure_plugin(self, inputs: Any, outputs: Any) -> None:
        """Nothing is to be chosen."""

    def set_tactic(self, tactic: int) -> None:
        """There is only the default one."""

    def get_fields_to_serialize(self) -> Any:
        """The attributes."""
        fields = []
        # A field points to its data, and does not keep it.
        self._kept = [self._data(item) for item in self._operator.schema.attributes]
        for item, data in zip(self._operator.schema.attributes, self._kept, strict=True):
            type_ = _field_type(item, self._tensorrt)
            fields.append(self._tensorrt.PluginField(item.name, data, type_))
        return self._tensorrt.PluginFieldCollection(fields)

    def _data(self, attribute: Attribute) -> Any:
        value = self._given[attribute.name]
        if "str" in attribute.kind:
            text = value if attribute.kind == "str" else join_texts(value)
            return np.frombuffer(text.encode(), np.int8)
        dtype = np.float64 if "float" in attribute.kind else np.int64
        return np.array(value, dtype).reshape(-1)

    def on_shape_change(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Chooses the kernel and works out the shapes."""
        infos = [TensorInfo(tuple(item.dims), _name(item.type)) for item in inputs]
        kinds = [(item.kind, self._given[item.name]) for item in self._operator.schema.attributes]
        self._bound = BoundKernel(
            self._library, self._kernel([item.dtype for item in infos]), kinds
        )
        self._shapes = pack_shapes(infos, self._operator.infer(infos, self._given))

    def enqueue(
        self,
        input_desc: Any,
        output_desc: Any,
        inputs: Sequence[int],
        outputs: Sequence[int],
        workspace: int,
        stream: int,
    ) -> None:
        """Runs the kernel on the stream; scratch memory comes from CUDA's pool."""
        assert self._bound is not None
        buffers = (ctypes.c_uint64 * (len(inputs) + len(outputs)))(*inputs, *outputs)
        if self._library.functions.modelport_call(
            ctypes.c_void_p(self._bound.handle), 1, stream, self._shapes, bytes(buffers), None
        ):
            raise OperatorError(
                f"{self._operator.qualified_name} failed", why=self._library.error()
            )

    def _kernel(self, dtypes: Sequence[str]) -> NativeKernel:
        for kernel in self._kernels:
            if list(kernel.dtypes) == list(dtypes):
                return kernel
        raise OperatorError(
            f"{self._operator.qualified_name} has no kernel for ({', '.join(dtypes)})",
            fix="convert the inputs, or declare a kernel for this dtype",
        )


def _name(data_type: Any) -> str:
    return _NAMES.get(int(data_type), str(data_type))
