# The public names of modelport.ops.build and their signatures; `make public` writes this file.

class BuildOptions:
    cuda: bool
    sanitize: bool
    capabilities: tuple[int, ...]
    @property
    def flags(self) -> tuple[str, ...]: ...
    def cuda_command(self, source: Path, made: Path) -> list[str]: ...
    def __init__(self, cuda: bool = False, sanitize: bool = False, capabilities: tuple[int, ...] = ()) -> None: ...
