# The public names of modelport.backends and their signatures; `make public` writes this file.

class Backend(Protocol):
    CAPABILITIES: Capabilities
    def probe(self) -> Probe: ...
    def version(self) -> str: ...
    def why_not_run(self, target: Target) -> str: ...
    def compile(self, folder: Path, graph: str, target: Target, libraries: Sequence[str] = (), options: Mapping[str, Any] | None = None, progress: Progress | None = None) -> Artifact: ...
    def load(self, folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None) -> Engine: ...

class Binding(ABC):
    inputs: Arrays
    outputs: Arrays
    def run(self) -> Arrays: ...

class Capabilities:
    devices: tuple[str, ...]
    precisions: Mapping[str, str]
    dtypes: tuple[str, ...]
    dynamic_shapes: str
    custom_operators: tuple[str, ...]
    threads: bool
    providers: tuple[str, ...]
    tunable: Mapping[str, tuple[Any, ...]]
    def __init__(self, devices: tuple[str, ...], precisions: Mapping[str, str], dtypes: tuple[str, ...], dynamic_shapes: str, custom_operators: tuple[str, ...], threads: bool, providers: tuple[str, ...] = (), tunable: Mapping[str, tuple[Any, ...]] = dict()) -> None: ...

class Engine(ABC):
    task: Callable[..., Any] | None
    substituted: str
    def __init__(self, signature: Signature, target: Target) -> None: ...
    signature: object
    target: object
    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> Arrays: ...
    def bind(self, inputs: Mapping[str, Array], outputs: Arrays | None = None) -> Binding: ...
    def __call__(self, *inputs: Any, **others: Any) -> Any: ...
    def run_shared(self, inputs: Mapping[str, Array]) -> Arrays: ...

class Probe:
    name: str
    works: bool
    version: str
    detail: str
    remedy: str
    def __init__(self, name: str, works: bool, version: str = '', detail: str = '', remedy: str = '') -> None: ...
