# The public names of modelport.backends.base and their signatures; `make public` writes this file.

class Artifact:
    graph: str
    files: tuple[str, ...]
    options: Mapping[str, Any]
    findings: tuple[Finding, ...]
    code: CodeSource
    def __init__(self, graph: str, files: tuple[str, ...] = (), options: Mapping[str, Any] = dict(), findings: tuple[Finding, ...] = (), code: CodeSource = user_code) -> None: ...
