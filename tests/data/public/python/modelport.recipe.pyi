# The public names of modelport.recipe and their signatures; `make public` writes this file.

class Recipe:
    model: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    input_names: Sequence[str] | None
    output_names: Sequence[str] | None
    dynamic: Mapping[str, Any] | None
    dynamic_axes: Mapping[str, Any] | None
    dynamic_shapes: Any
    opset: int | None
    capture: str
    export_params: bool
    custom_translation_table: Mapping[Any, Any]
    values: Mapping[str, ValueRule]
    cases: Sequence[tuple[Any, ...]]
    name: str | None
    preprocess: Sequence[Any]
    postprocess: Sequence[Any]
    result: Any
    rtol: float | Mapping[str, float] | None
    atol: float | Mapping[str, float] | None
    mutated_inputs: Mapping[str, str]
    def with_options(self, **options: Any) -> Recipe: ...
    @property
    def title(self) -> str: ...
    def __init__(self, model: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = dict(), input_names: Sequence[str] | None = None, output_names: Sequence[str] | None = None, dynamic: Mapping[str, Any] | None = None, dynamic_axes: Mapping[str, Any] | None = None, dynamic_shapes: Any = None, opset: int | None = None, capture: str = 'auto', export_params: bool = True, custom_translation_table: Mapping[Any, Any] = dict(), values: Mapping[str, ValueRule] = dict(), cases: Sequence[tuple[Any, ...]] = (), name: str | None = None, preprocess: Sequence[Any] = (), postprocess: Sequence[Any] = (), result: Any = None, rtol: float | Mapping[str, float] | None = None, atol: float | Mapping[str, float] | None = None, mutated_inputs: Mapping[str, str] = dict()) -> None: ...

def load_recipe(source: str | Path) -> Recipe: ...
