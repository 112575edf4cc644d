# The public names of modelport and their signatures; `make public` writes this file.

class Bench:
    against: str
    rows: tuple[Measured, ...]
    at_once: int
    seconds: Mapping[str, float]
    @property
    def ok(self) -> bool: ...
    def to_json(self) -> dict[str, Any]: ...
    def __init__(self, against: str, rows: tuple[Measured, ...], at_once: int, seconds: Mapping[str, float]) -> None: ...

class Bisection:
    reference: str
    candidate: str
    case: Case
    outputs: ComparedCase | None
    culprit: Culprit | None
    links: tuple[TensorPair, ...]
    not_run: Mapping[str, str]
    notes: tuple[str, ...]
    seconds: Mapping[str, float]
    @property
    def ok(self) -> bool: ...
    @property
    def verdict(self) -> str: ...
    def to_json(self) -> dict[str, Any]: ...
    def __init__(self, reference: str, candidate: str, case: Case, outputs: ComparedCase | None, culprit: Culprit | None, links: tuple[TensorPair, ...], not_run: Mapping[str, str], notes: tuple[str, ...], seconds: Mapping[str, float]) -> None: ...

class BuildError(ModelportError):
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None: ...
    what: object
    where: object
    why: object
    fix: object
    def to_json(self) -> dict[str, Any]: ...
    code: object
    exit_code: object

class Bundle:
    def __init__(self, folder: Path, manifest: Manifest, *, where: str, trust: bool = False, signer: Path | None = None, seal: tuple[bytes, bytes | None] = (b'', None)) -> None: ...
    folder: object
    manifest: object
    where: object
    @staticmethod
    def open(path: str | os.PathLike[str], *, trust: bool = False, key: str | os.PathLike[str] | None = None) -> Iterator[Bundle]: ...
    def load(self, target: Target | str | None = None, **options: Any) -> Engine: ...
    @property
    def stages(self) -> dict[str, Bundle]: ...
    @property
    def models(self) -> list[Bundle]: ...
    def artifact(self, target: Target) -> Artifact: ...
    def choose(self, target: Target | str | None) -> Target: ...
    def require_known(self, code: Sequence[str]) -> None: ...
    def standing(self, target: Target) -> str: ...
    @property
    def is_trusted(self) -> bool: ...
    @property
    def signed(self) -> str: ...
    @property
    def signer(self) -> Path | None: ...
    def reference_cases(self) -> list[ReferenceCase]: ...

class BundleError(ModelportError):
    exit_code: object
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None: ...
    what: object
    where: object
    why: object
    fix: object
    def to_json(self) -> dict[str, Any]: ...
    code: object

class CalibrationTable:
    ranges: Mapping[str, tuple[float, float]]
    method: str
    cases: int
    def replaced(self, ranges: Mapping[str, tuple[float, float]]) -> CalibrationTable: ...
    def save(self, path: str | os.PathLike[str]) -> Path: ...
    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CalibrationTable: ...
    def __init__(self, ranges: Mapping[str, tuple[float, float]] = dict(), method: str = 'given', cases: int = 0) -> None: ...

class Comparison:
    reference: str
    candidate: str
    cases: tuple[ComparedCase, ...]
    refused: tuple[str, ...]
    seed: int
    rerun: str
    seconds: Mapping[str, float]
    @property
    def ok(self) -> bool: ...
    def to_json(self) -> dict[str, Any]: ...
    def __init__(self, reference: str, candidate: str, cases: tuple[ComparedCase, ...], refused: tuple[str, ...], seed: int, rerun: str, seconds: Mapping[str, float]) -> None: ...

class Compilation:
    path: Path
    model: Model
    findings: tuple[Finding, ...]
    record: BuildRecord
    seconds: float
    def __init__(self, path: Path, model: Model, findings: tuple[Finding, ...], record: BuildRecord, seconds: float) -> None: ...

DATA_DEPENDENT = DataDependent()

class Deployment:
    path: Path
    model: Model
    verifications: Mapping[Target, Verification]
    seconds: Mapping[str, float]
    def to_json(self) -> dict[str, Any]: ...
    def __init__(self, path: Path, model: Model, verifications: Mapping[Target, Verification], seconds: Mapping[str, float]) -> None: ...

class Dim:
    name: str
    min: int
    max: int | None
    multiple: int
    def __contains__(self, size: int) -> bool: ...
    def nearest(self, size: int) -> int: ...
    def __init__(self, name: str, min: int = 1, max: int | None = None, multiple: int = 1) -> None: ...

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

class ExportError(ModelportError):
    what: object
    where: object
    why: object
    fix: object
    code: object
    exit_code: object
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None, findings: Sequence[Finding] = ()) -> None: ...
    findings: object
    def to_json(self) -> dict[str, Any]: ...

class Finding:
    rule: str
    severity: Severity
    message: str
    where: str
    fix: str
    def __init__(self, rule: str, severity: Severity, message: str, where: str = '', fix: str = '') -> None: ...

class Model:
    ir: onnx_ir.Model
    dims: Mapping[str, Dim]
    findings: list[Finding]
    provenance: dict[str, Any]
    facts: CaptureFacts
    @property
    def opset(self) -> int: ...
    @property
    def signature(self) -> Signature: ...
    @property
    def weight_bytes(self) -> int: ...
    def copy(self) -> Model: ...
    def operators(self) -> set[tuple[str, str]]: ...
    def save(self, path: str | os.PathLike[str]) -> Path: ...
    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model: ...
    def __init__(self, ir: onnx_ir.Model, dims: Mapping[str, Dim] = dict(), findings: list[Finding] = list(), provenance: dict[str, Any] = dict(), facts: CaptureFacts = CaptureFacts()) -> None: ...

class ModelportError(Exception):
    exit_code: object
    code: object
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None: ...
    what: object
    where: object
    why: object
    fix: object
    def to_json(self) -> dict[str, Any]: ...

class Operator:
    def __init__(self, schema: OperatorSchema, reference: Callable[..., Any], kernels: Mapping[str, Path], dtypes: Sequence[Sequence[str]], node_inputs: Sequence[str] | None = None, folder: Path | None = None) -> None: ...
    schema: object
    reference: object
    kernels: object
    dtypes: object
    node_inputs: object
    shape_rule: ShapeRule | None
    decomposition: Callable[..., Any] | None
    decomposition_since: object
    gradient: Callable[..., Any] | None
    samples: Callable[..., Any] | None
    folder: object
    torch_name: str | None
    argument_names: object
    existing: Callable[..., Any] | None
    eager: EagerOperator | None
    @property
    def qualified_name(self) -> str: ...
    @property
    def is_runnable(self) -> bool: ...
    def instances(self, without: Collection[str] = ()) -> list[str]: ...
    def shapes(self, rule: ShapeRule) -> ShapeRule: ...
    def onnx(self, decomposition: Callable[..., Any] | None = None, *, since: int = 18) -> Callable[..., Any]: ...
    def backward(self, gradient: Callable[..., Any]) -> Callable[..., Any]: ...
    def cases(self, samples: Callable[..., Any]) -> Callable[..., Any]: ...
    def infer(self, inputs: Sequence[TensorInfo | None], attributes: Mapping[str, Any]) -> list[TensorInfo]: ...
    def __call__(self, *inputs: Any, **attributes: Any) -> Any: ...

class OperatorError(ModelportError):
    exit_code: object
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None: ...
    what: object
    where: object
    why: object
    fix: object
    def to_json(self) -> dict[str, Any]: ...
    code: object

class PassError(ModelportError):
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None: ...
    what: object
    where: object
    why: object
    fix: object
    def to_json(self) -> dict[str, Any]: ...
    code: object
    exit_code: object

class ProofError(ModelportError):
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None: ...
    what: object
    where: object
    why: object
    fix: object
    def to_json(self) -> dict[str, Any]: ...
    code: object
    exit_code: object

class Quantization:
    model: Model
    precision: str
    table: CalibrationTable
    score: float
    drop: float
    max_drop: float
    operators: int
    kept: tuple[str, ...]
    sensitivity: dict[str, float]
    improvements: tuple[str, ...]
    points: tuple[Point, ...]
    seconds: dict[str, float]
    def to_json(self) -> dict[str, Any]: ...
    @property
    def choice(self) -> QuantizationChoice: ...
    def __init__(self, model: Model, precision: str, table: CalibrationTable, score: float, drop: float, max_drop: float, operators: int, kept: tuple[str, ...], sensitivity: dict[str, float], improvements: tuple[str, ...], points: tuple[Point, ...], seconds: dict[str, float]) -> None: ...

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
    def with_options(self, **options: Any) -> Recipe: ...
    @property
    def title(self) -> str: ...
    def __init__(self, model: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = dict(), input_names: Sequence[str] | None = None, output_names: Sequence[str] | None = None, dynamic: Mapping[str, Any] | None = None, dynamic_axes: Mapping[str, Any] | None = None, dynamic_shapes: Any = None, opset: int | None = None, capture: str = 'auto', export_params: bool = True, custom_translation_table: Mapping[Any, Any] = dict(), values: Mapping[str, ValueRule] = dict(), cases: Sequence[tuple[Any, ...]] = (), name: str | None = None, preprocess: Sequence[Any] = (), postprocess: Sequence[Any] = (), result: Any = None, rtol: float | Mapping[str, float] | None = None, atol: float | Mapping[str, float] | None = None) -> None: ...

class Reduction:
    nodes: tuple[str, ...]
    before: int
    tests: int
    model: Path
    case: Path
    rerun: str
    def to_json(self) -> dict[str, Any]: ...
    def __init__(self, nodes: tuple[str, ...], before: int, tests: int, model: Path, case: Path, rerun: str) -> None: ...

class RunError(ModelportError):
    exit_code: object
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None: ...
    what: object
    where: object
    why: object
    fix: object
    def to_json(self) -> dict[str, Any]: ...
    code: object

class Severity(StrEnum):
    ERROR: object
    WARNING: object
    NOTE: object

class Simplification:
    model: Model
    before: Mapping[str, int]
    after: Mapping[str, int]
    bytes_before: int
    verification: Verification | None
    seconds: float
    def to_json(self) -> dict[str, Any]: ...
    def __init__(self, model: Model, before: Mapping[str, int], after: Mapping[str, int], bytes_before: int, verification: Verification | None, seconds: float) -> None: ...

class Target:
    backend: str
    device: str
    provider: str | None
    precision: str
    compute_capabilities: tuple[str, ...]
    @classmethod
    def parse(cls, text: str | Target) -> Target: ...
    def __init__(self, backend: str, device: str = 'cpu', provider: str | None = None, precision: str = 'fp32', compute_capabilities: tuple[str, ...] = ()) -> None: ...

class TensorInfo:
    __slots__: object
    def __init__(self, shape: Sequence[Any], dtype: str) -> None: ...
    shape: object
    dtype: object
    def like(self, shape: Sequence[Any] | None = None, dtype: str | None = None) -> TensorInfo: ...

class Tuning:
    source: str
    metric: str
    tolerance: float | None
    rows: tuple[Row, ...]
    winner: Row
    plan: Plan
    front: tuple[Row, ...]
    reason: str
    deployment: Deployment | None
    quantizations: Mapping[str, QuantizationChoice]
    seconds: Mapping[str, float]
    def to_json(self) -> dict[str, Any]: ...
    def __init__(self, source: str, metric: str, tolerance: float | None, rows: tuple[Row, ...], winner: Row, plan: Plan, front: tuple[Row, ...], reason: str, deployment: Deployment | None, quantizations: Mapping[str, QuantizationChoice], seconds: Mapping[str, float]) -> None: ...

class UsageError(ModelportError):
    exit_code: object
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None: ...
    what: object
    where: object
    why: object
    fix: object
    def to_json(self) -> dict[str, Any]: ...
    code: object

def bench(models: Sequence[str | os.PathLike[str]], *, against: str | None = None, source: str | None = None, targets: Sequence[Target | str] = (), threads: Sequence[int] = (0,), sizes: Mapping[str, Sequence[int]] | None = None, at_once: int = 1, rounds: int = ROUNDS, case: str | os.PathLike[str] | None = None, seed: int = 0, trust: bool = False, key: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Bench: ...

def bind_operator(existing: Any, *, onnx: str, kernels: Sequence[str] = (), dtypes: Sequence[Any] = (), inputs: Mapping[int, str] | None = None, reference: Callable[..., Any] | None = None) -> Operator: ...

def bisect(reference: Source, candidate: Source | None = None, *, targets: str | Sequence[Target | str] | None = None, cases: Cases = 3, all_nodes: bool = False, save: str | os.PathLike[str] | None = None, budget: int = BUDGET, seed: int = 0, progress: Progress | None = None) -> Bisection: ...

def calibrate(model: Model, data: Source, *, method: str = METHOD, percentile: float = 99.99, libraries: Sequence[Path] | None = None, progress: Progress | None = None) -> CalibrationTable: ...

def check(path: str | os.PathLike[str], *, libraries: Iterable[Path] = ()) -> CheckResult: ...

def compare(reference: Source, candidate: Source | None = None, *, targets: str | Sequence[Target | str] | None = None, cases: Cases = DRAWN, save_io: str | os.PathLike[str] | None = None, failures: str | os.PathLike[str] | None = None, metrics: Mapping[str, Metric] | None = None, rtol: float | Mapping[str, float] | None = None, atol: float | Mapping[str, float] | None = None, seed: int = 0, trust: bool = False, progress: Progress | None = None) -> Comparison: ...

def compile(source: str | os.PathLike[str] | Recipe | Model, output: str | os.PathLike[str], *, target: Target | str, shapes: Mapping[str, Sequence[int | str]] | None = None, reshape: ReshapeRule | None = None, max_batch: int | None = None, progress: Progress | None = None, **options: Any) -> Compilation: ...

def deploy(source: str | os.PathLike[str] | Recipe, output: str | os.PathLike[str], *, targets: Sequence[Target | str | Plan] = ('onnxruntime',), opset: int | None = None, capture: str | None = None, data: Source | None = None, zipped: bool = False, seed: int = 0, rtol: float | Mapping[str, float] | None = None, atol: float | Mapping[str, float] | None = None, progress: Progress | None = None) -> Deployment: ...

def describe_aten(name: str) -> AtenOperator: ...

def diagnose(source: Any, *, opset: int | None = None, capture: str | None = None) -> list[Finding]: ...

def doctor() -> Diagnosis: ...

def export(model_or_recipe: Any, args: Any = None, *, kwargs: Mapping[str, Any] | None = None, input_names: Sequence[str] | None = None, output_names: Sequence[str] | None = None, dynamic: Mapping[str, Any] | None = None, dynamic_axes: Mapping[str, Any] | None = None, dynamic_shapes: Any = None, opset: int | None = None, opset_version: int | None = None, export_params: bool | None = None, custom_translation_table: Mapping[Any, Any] | None = None, capture: str | None = None, target: Target | str | None = None, probes: bool = True) -> Model: ...

def is_exporting() -> bool: ...

def load(path: str | os.PathLike[str], target: Target | str | None = None, *, trust: bool = False, key: str | os.PathLike[str] | None = None, **options: Any) -> Engine: ...

def mark(name: str) -> torch.nn.Module: ...

def operator(name: str, *, kernels: Sequence[str] = (), dtypes: Sequence[str] | Sequence[Sequence[str]] = ()) -> Callable[[Callable[..., Any]], Operator]: ...

def operator_support(program_or_module: torch.nn.Module | torch.export.ExportedProgram | str | Path, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None, opset: int | None = None, *, dynamic_shapes: Any = None, custom_translation_table: Mapping[Any, Any] | None = None) -> SupportTable: ...

def quantize(model: Model | str | os.PathLike[str], data: Source | None = None, *, precision: str = 'int8', form: str = 'unsigned', method: str = METHOD, percentile: float = 99.99, table: CalibrationTable | None = None, keep: Sequence[str] = (), metric: Metric | None = None, judge_on: Source | None = None, max_drop: float = MAX_DROP, libraries: Sequence[Path] | None = None, progress: Progress | None = None) -> Quantization: ...

def register_symbolic(name: str, function: Callable[..., Any], *, opset: int = 9) -> SymbolicRegistration: ...

def rewrite(name: str, **when: Unpack[When]) -> Callable[[F], F]: ...

def rewrite_module(cls: str | type[nn.Module], **when: Unpack[When]) -> Callable[[F], F]: ...

def self_test(bundle: str | os.PathLike[str], *, trust: bool = False, key: str | os.PathLike[str] | None = None) -> SelfTest: ...

def shrink(reference: Source, candidate: Source | None = None, *, by: str | Fails = WRONG, save: str | os.PathLike[str], targets: str | Sequence[Target | str] | None = None, cases: Cases = 3, budget: int = BUDGET, seed: int = 0, timeout: float = _TIMEOUT, progress: Progress | None = None) -> Reduction: ...

def simplify(model: Model | str | os.PathLike[str], *, size_limit: int = SIZE_LIMIT, check: bool = True, seed: int = 0, run: Callable[[Path], Runner] | None = None) -> Simplification: ...

def tune(source: str | os.PathLike[str] | Recipe, output: str | os.PathLike[str] | None = None, *, metric: str = 'latency', tolerance: float | None = None, targets: Sequence[Target | str] = (), budget: float = BUDGET, case: str | os.PathLike[str] | None = None, data: Source | None = None, seed: int = 0, progress: Progress | None = None) -> Tuning: ...

def verify(bundle: str | os.PathLike[str], against: str | Recipe | None = None, seed: int = 1, *, trust: bool = False, rtol: float | Mapping[str, float] | None = None, atol: float | Mapping[str, float] | None = None) -> dict[Target, Verification]: ...
