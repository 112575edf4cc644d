"""`write_extension`: operators as a plain C++ extension of PyTorch, for those who want one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from modelport.errors import OperatorError, UsageError
from modelport.files.replacement import replacing
from modelport.ops.build.generated_sources import Table, kernel_source, library_source
from modelport.ops.build.parts import RUNTIME
from modelport.ops.build.toolchain import HEADER_SUFFIXES, NATIVE
from modelport.ops.declaration import Operator
from modelport.ops.templates import render

_SOURCES = ("library.cpp", "library.h", "attributes.h")


def write_extension(operators: Sequence[Operator], output: str | os.PathLike[str]) -> Path:
    """Writes an installable package: ``setup.py``, the kernels, and what ties them to PyTorch.

    ``pip install --no-build-isolation FOLDER`` compiles it against the PyTorch that is installed;
    importing ``<domain>_ops`` then defines the operators. It needs no modelport. It has the CPU
    kernels only, and neither shape rules nor gradients.

    Args:
        operators: The operators of one domain.
        output: The folder to write.

    Returns:
        The folder.

    Raises:
        OperatorError: The operators have several domains, or none has a CPU kernel.
        UsageError: The folder is there already, or cannot be written.
    """
    operators = [item for item in operators if "cpu" in item.kernels]
    domains = sorted({item.schema.domain for item in operators})
    if len(domains) != 1:
        raise OperatorError(
            "an extension holds the operators of one domain",
            why=f"there are CPU kernels in {', '.join(domains) or 'none'}",
        )
    output = Path(output)
    if output.exists():
        raise UsageError(f"{output} is there already", fix="choose another place")
    if not output.parent.is_dir():
        raise UsageError(f"no such directory: {output.parent}")
    with replacing(output) as folder:
        _write(operators, domains[0], folder)
    return output


def _write(operators: Sequence[Operator], domain: str, folder: Path) -> None:
    package = f"{domain}_ops"
    csrc = folder / "csrc"
    folder.mkdir()
    shutil.copytree(NATIVE / "include", csrc / "include")
    for name in _SOURCES:
        shutil.copyfile(RUNTIME / name, csrc / name)
    shutil.copyfile(NATIVE / "torch" / "torch_extension.cpp", csrc / "torch_extension.cpp")
    tables = []
    for place, operator in enumerate(operators):
        source = operator.kernels["cpu"]
        own = csrc / "kernels" / operator.schema.name
        own.mkdir(parents=True)
        for file in [source, *source.parent.glob("*")]:
            if file == source or file.suffix in HEADER_SUFFIXES:
                shutil.copyfile(file, own / file.name)
        symbol = f"modelport_kernels_{operator.schema.name}"
        tables.append(Table(place, "cpu", 0, symbol))
        included = Path("kernels") / operator.schema.name / source.name
        text = kernel_source(operator, included, symbol)
        (csrc / f"{operator.schema.name}_kernels.cpp").write_text(text, encoding="utf-8")
    described = library_source(domain, operators, tables, 0)
    (csrc / "described.cpp").write_text(described, encoding="utf-8")
    values = {"domain": domain, "package": package, "operators": operators}
    (folder / package).mkdir()
    for template, place_in in {
        "setup.py": folder / "setup.py",
        "__init__.py": folder / package / "__init__.py",
        "operators.inc": csrc / "operators.inc",
    }.items():
        place_in.write_text(render(f"extension/{template}.jinja", **values), encoding="utf-8")
