"""Bundles that somebody damaged, or forged: seeded, so that every one can be made again."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TAIL = ',\n  "sha256": "{}"\n}}\n'
_NAMES = (
    "../evil.txt",
    "/tmp/evil.txt",
    "a/../../evil.txt",
    "evil.txt",
    "graphs/evil.so",
    "a\\..\\e",
)
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 3, 2**70, 1.5, "", "x", "../x", "graphs/model.onnx", "report.html"),
    *("/etc/passwd", "{platform}", "operators/{platform}/x.so", "onnxruntime:cuda", "a:b:c", "é\0"),
    *([], {}, [[]], ["x"], {"a": []}, "Infinity"),
    *(
        "\udcff",
        "\x1b[31m",
        "a\nb",
        "\u202e",
        2**63,
        2**64,
        20_000,
        json.loads("[" * 99 + "]" * 99),
    ),
)


def sealed(content: dict[str, Any]) -> bytes:
    """A manifest's bytes with a checksum that fits."""
    content = {name: value for name, value in content.items() if name != "sha256"}
    body = json.dumps(content, indent=2).removesuffix("\n}").encode()
    return body + _TAIL.format(hashlib.sha256(body).hexdigest()).encode()


def mutate(whole: dict[str, bytes], path: Path, seed: int) -> str:
    """Writes one damaged bundle.

    Args:
        whole: The files of a sound bundle, by path inside.
        path: Where to write: a directory, or a zip file, as the seed has it.
        seed: Which one.

    Returns:
        What was done, for the message of a test.
    """
    rng = random.Random(seed)
    files = dict(whole)
    change = rng.choice(_CHANGES)
    what = change(files, rng)
    if rng.random() < 0.5:
        _write_folder(files, path)
        return f"directory: {what}"
    _write_zip(files, path, rng)
    if rng.random() < 0.4:
        data = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 4)):
            data[_place(data, rng)] = rng.randrange(256)
        path.write_bytes(data[: rng.choice([len(data), len(data), rng.randrange(len(data))])])
        what += ", then bytes of the zip file"
    return f"zip: {what}"


def _place(data: bytearray, rng: random.Random) -> int:
    # The directory of a zip file is at its end, and small.
    return (
        rng.randrange(len(data))
        if rng.random() < 0.5
        else rng.randrange(len(data) * 9 // 10, len(data))
    )


def _flip(files: dict[str, bytes], rng: random.Random) -> str:
    name = rng.choice(sorted(files))
    data = bytearray(files[name])
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    files[name] = bytes(data)
    return f"flipped bits of {name}"


def _truncate(files: dict[str, bytes], rng: random.Random) -> str:
    name = rng.choice(sorted(files))
    files[name] = files[name][: rng.randrange(len(files[name]))]
    return f"cut {name}"


def _remove(files: dict[str, bytes], rng: random.Random) -> str:
    name = rng.choice(sorted(files))
    del files[name]
    return f"removed {name}"


def _add(files: dict[str, bytes], rng: random.Random) -> str:
    name = rng.choice(_NAMES)
    files[name] = b"evil"
    if rng.random() < 0.5:
        content = json.loads(files["manifest.json"])
        content["files"][name] = {"sha256": hashlib.sha256(b"evil").hexdigest(), "bytes": 4}
        files["manifest.json"] = sealed(content)
        return f"added {name}, in the manifest"
    return f"added {name}"


def _swap(files: dict[str, bytes], rng: random.Random) -> str:
    one, other = rng.sample(sorted(files), 2)
    files[one], files[other] = files[other], files[one]
    return f"swapped {one} and {other}"


def _damage_and_seal(files: dict[str, bytes], rng: random.Random) -> str:
    """What a forger does: the checksums fit."""
    what = rng.choice([_flip, _truncate])(files, rng)
    try:
        content = json.loads(files["manifest.json"])
        for name in content["files"]:
            digest = hashlib.sha256(files[name]).hexdigest()
            content["files"][name] = {"sha256": digest, "bytes": len(files[name])}
    except (ValueError, KeyError, TypeError):
        return what
    files["manifest.json"] = sealed(content)
    return f"{what}, and sealed it"


def change_field(files: dict[str, bytes], rng: random.Random) -> str:
    """Puts something else into a field of the manifest, whose checksum fits."""
    content = json.loads(files["manifest.json"])
    holder, key = rng.choice(list(_places(content)))
    value = rng.choice(_VALUES)
    if rng.random() < 0.2 and isinstance(holder, dict):
        del holder[key]
        what = f"removed the field {key}"
    else:
        holder[key] = value
        what = f"{key} is {value!r}"
    files["manifest.json"] = sealed(content)
    return what


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every field of a document, but for the many figures of the verification."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in list(items):
        found.append((value, key))
        if key == "verification" and isinstance(item, dict):
            found += [(item, target) for target in item]
        elif isinstance(item, dict | list):
            found += _places(item)
    return found


_CHANGES: tuple[Callable[[dict[str, bytes], random.Random], str], ...] = (
    *(_flip, _truncate, _remove, _add, _swap, _damage_and_seal, _damage_and_seal),
    *(change_field, change_field, change_field),
)


def _write_folder(files: dict[str, bytes], path: Path) -> None:
    for name, data in files.items():
        place = path / name.replace("\\", "_").lstrip("/").replace("..", "dots")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _write_zip(files: dict[str, bytes], path: Path, rng: random.Random) -> None:
    method = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
