"""A Dockerfile and requirements: the minimum that runs a bundle."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelport.backends import backend_names, get_backend
from modelport.bundle.manifest import Manifest
from modelport.bundle.reader import Bundle
from modelport.errors import UsageError
from modelport.files.replacement import written

REQUIREMENTS = "requirements.txt"
DOCKERFILE = "Dockerfile"
_VERSION = re.compile(
    r"(\d+(?:\.\d+){0,5}(?:(?:a|b|rc)\d+)?(?:\.post\d+)?(?:\.dev\d+)?)(?:\+[a-z0-9.]+)?"
)
_SAFE = re.compile(r"(?!-)[A-Za-z0-9._+/-]+")


def requirements(manifest: Manifest, stages: Sequence[Manifest] = ()) -> list[str]:
    """Packages that pip must install to run a bundle, with the versions of its build.

    Args:
        manifest: The bundle's.
        stages: Those of its stages, where it is a pipeline.

    Returns:
        Lines of a requirements file.

    Raises:
        UsageError: A target's backend does not say which packages run it, or is not installed.
    """
    versions = manifest.versions
    machine = manifest.machine
    lines = [
        _pinned("modelport", versions.get("modelport")),
        _pinned("numpy", machine.get("numpy")),
    ]
    models = (manifest, *stages)
    for target in (target for model in models for target in model.artifacts):
        known = target.backend in backend_names()
        packages = get_backend(target).requirements(target) if known else ()
        if not packages:
            raise UsageError(
                f"which package brings the backend {target.backend} is not known here",
                fix="write the requirements by hand, or take it out: modelport bundle strip",
            )
        lines += [_pinned(packages[0], versions.get(target.backend)), *packages[1:]]
    signatures = [model.signature for model in models]
    if any(
        spec.dtype == "bfloat16" for item in signatures for spec in (*item.inputs, *item.outputs)
    ):
        lines.append("ml_dtypes")
    return list(dict.fromkeys(lines))


def write_container(
    bundle: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    wheel: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
) -> Path:
    """Writes a folder from which ``docker build`` makes an image that tests the bundle.

    The image is Python's slim one with what `requirements` says, and the bundle. Run, it tests the
    bundle; with other arguments it is ``modelport``.

    Args:
        bundle: The bundle.
        output: The folder to write.
        wheel: A wheel of modelport to install in place of the published one.
        key: The public key that the bundle is signed by. Without it the image trusts the code in
            the bundle, which whoever builds the image vouches for.

    Returns:
        The folder.

    Raises:
        UsageError: The folder is there already or cannot be written.
        BundleError: The bundle is altered, or not signed by the key.
    """
    output, source = Path(output), Path(bundle)
    if output.exists():
        raise UsageError(f"{output} is there already", fix="choose another place")
    if not output.parent.is_dir():
        raise UsageError(f"no such directory: {output.parent}")
    with Bundle.open(source, key=key) as opened:
        lines = requirements(opened.manifest, [item.manifest for item in opened.models])
        if wheel is not None:
            lines[0] = f"./{Path(wheel).name}"
        if key is not None:
            lines.append("cryptography")
        text = "\n".join(_dockerfile(opened, source.name, wheel, key)) + "\n"
    with written(output) as folder:
        folder.mkdir()
        (folder / REQUIREMENTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / DOCKERFILE).write_text(text, encoding="utf-8")
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, folder / source.name)
        for extra in (wheel, key):
            if extra is not None:
                shutil.copyfile(extra, folder / Path(extra).name)
    return output


def _dockerfile(
    opened: Bundle,
    name: str,
    wheel: str | os.PathLike[str] | None,
    key: str | os.PathLike[str] | None,
) -> Iterator[str]:
    python = _version("python", opened.manifest.machine.get("python", "3.11"))
    yield f"FROM python:{'.'.join(python.split('.')[:2])}-slim"
    yield "WORKDIR /app"
    yield _copy(REQUIREMENTS, *([Path(wheel).name] if wheel else []), "./")
    yield f"RUN pip install --no-cache-dir -r {REQUIREMENTS}"
    yield "RUN useradd --create-home modelport"
    if key is not None:
        folder = "/home/modelport/.config/modelport/keys"
        yield _copy(Path(key).name, f"{folder}/{Path(key).stem}.pem", options="--chown=modelport ")
    yield _copy(name, name)
    yield "USER modelport"
    yield 'ENTRYPOINT ["modelport"]'
    trust = [] if key is not None else ["--trust"]
    yield f"CMD {json.dumps(['bundle', 'selftest', *trust, name])}"


def _copy(*paths: str, options: str = "") -> str:
    """The instruction in its JSON form, which splits no names.

    Raises:
        UsageError: A name is more than letters, digits and ``._+-``: builders expand others.
    """
    for path in paths:
        if not _SAFE.fullmatch(path):
            raise UsageError(
                f"a Dockerfile cannot name {path!a}",
                fix="rename it: letters, digits and ._+- are safe",
            )
    return f"COPY {options}{json.dumps(paths)}"


def _pinned(package: str, version: object) -> str:
    # A local version, such as that of PyTorch for the CPU, is in no index.
    return f"{package}=={_version(package, version)}" if version else package


def _version(package: str, version: object) -> str:
    """The public part of a version.

    Raises:
        UsageError: It is no version, as PEP 440 has them: the bundle's maker wrote it.
    """
    found = _VERSION.fullmatch(str(version))
    if found is None:
        raise UsageError(
            f"the bundle says that {package} has the version {str(version)[:60]!a}, which is none",
            fix="write the requirements by hand",
        )
    return found[1]
