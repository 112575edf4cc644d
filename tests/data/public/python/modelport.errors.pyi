# The public names of modelport.errors and their signatures; `make public` writes this file.

class ModelportError(Exception):
    exit_code: object
    code: object
    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None) -> None: ...
    what: object
    where: object
    why: object
    fix: object
    def to_json(self) -> dict[str, Any]: ...
