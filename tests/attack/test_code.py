"""Attacks 1 to 13: code that runs though nobody trusts it, in Python and in C++."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

import modelport
from modelport import Bundle, BundleError, ModelportError, UsageError
from modelport.bundle import edit
from modelport.bundle.digital_signature import known_keys, make_keys
from modelport.capture.torch_private.program_files import load_program_data
from modelport.deployment.bundle_targets import add_targets
from modelport.files.trusted_code import DigestError, TrustedCode
from modelport.ops.build.cache import cache_folder, kept
from modelport.ops.build.known_code import is_remembered, remember
from tests.attack.forgery import MARK, content_of, evil_library, forge, raw
from tests.runtime.driver import Driver, Refused
from tests.support import onnx_text

NAMES = ("evil\udcff.so", "evil.so\0.x", "evil.so", "./evil.so", "\x1bevil.so", "a;evil.so")


def with_options(content: dict[str, Any], **options: Any) -> None:
    content["targets"][0]["options"] = options


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("option", ["libraries", "provider_options"])
def test_01_02_option_names_no_path(
    sound: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, name: str, option: str
) -> None:
    evil_library(elsewhere / "evil.so", elsewhere / MARK)
    shutil.copyfile(elsewhere / "evil.so", os.fsencode(elsewhere) + b"/evil\xff.so")
    monkeypatch.chdir(elsewhere)
    value = [name] if option == "libraries" else {"trt_extra_plugin_lib_paths": name}
    path = forge(
        sound, elsewhere / "a.port", lambda content: with_options(content, **{option: value})
    )
    with pytest.raises(BundleError):
        modelport.load(path)
    assert not (elsewhere / MARK).exists()


@pytest.mark.parametrize("name", NAMES)
def test_01_02_option_names_no_path_in_cpp(
    driver: Driver, sound: Path, elsewhere: Path, name: str
) -> None:
    path = forge(
        sound, elsewhere / "a.port", lambda content: with_options(content, libraries=[name])
    )
    evil_library(path / "evil.so", elsewhere / MARK)
    forge(path, path, lambda content: with_options(content, libraries=[name]))
    with pytest.raises(Refused, match=r"manifest\.json"):
        driver.load(path)
    assert not (elsewhere / MARK).exists()


class _Pickled:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.open, (str(self.mark), os.O_CREAT | os.O_WRONLY)


def evil_program(path: Path, mark: Path) -> Path:
    """A program of torch.export whose example inputs run code."""
    program = torch.export.export(torch.nn.ReLU(), (torch.ones(2, 3),))
    sound = path.with_suffix(".sound.pt2")
    torch.export.save(program, sound)
    # torch reads a pickle without the frame of a zip file, too.
    code = pickle.dumps(_Pickled(mark), protocol=2)
    with zipfile.ZipFile(sound) as source, zipfile.ZipFile(path, "w") as sink:
        for name in source.namelist():
            inputs = name.endswith(".pt")
            sink.writestr(name, code if inputs else source.read(name))
    sound.unlink()
    return path


def test_03_target_added_to_a_foreign_bundle_runs_none_of_its_code(
    sound: Path, elsewhere: Path
) -> None:
    path = shutil.copytree(sound, elsewhere / "a.port")
    evil_program(path / "graphs" / "model.pt2", elsewhere / MARK)
    forge(path, path, lambda content: None)
    with pytest.raises(ModelportError):
        add_targets(path, ["torch"])
    assert not (elsewhere / MARK).exists()


def test_03_what_loads_takes_what_the_trust_check_made(sound: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        TrustedCode(None, "a.so", os.open(sound / "manifest.json", os.O_RDONLY), "")
    with Bundle.open(sound) as opened:
        (artifact,) = opened.manifest.artifacts.values()
        with pytest.raises(BundleError):
            artifact.code(opened.folder, "graphs/model.onnx")


@pytest.mark.parametrize("kind", ["pickle", "expression", "library", "target"])
def test_04_program_runs_no_code(elsewhere: Path, kind: str) -> None:
    mark, path = elsewhere / MARK, elsewhere / "a.pt2"
    if kind == "pickle":
        evil_program(path, mark)
    else:
        sizes = ({0: torch.export.Dim("n", min=2, max=9)},)
        program = torch.export.export(torch.nn.ReLU(), (torch.ones(4, 3),), dynamic_shapes=sizes)
        torch.export.save(program, elsewhere / "sound.pt2")
        with zipfile.ZipFile(elsewhere / "sound.pt2") as source, zipfile.ZipFile(path, "w") as sink:
            for name in source.namelist():
                data = source.read(name)
                if "models/" in name and kind == "expression":
                    evil = f"__import__('os').mknod('{mark}')"
                    changed = json.loads(data)
                    replace_sizes(changed, evil)
                    assert evil in json.dumps(changed)
                    data = json.dumps(changed).encode()
                if "models/" in name and kind == "target":
                    data = data.replace(
                        b"torch.ops.aten.relu.default", b"torch.serialization.os.system"
                    )
                sink.writestr(name, data)
            if kind == "library":
                sink.writestr("sound/data/aotinductor/model/a.so", b"\x7fELF")
    with pytest.raises(UsageError, match="holds more than data") as caught:
        modelport.export(str(path), elsewhere / "out.onnx")
    assert "torch.export.load(" in str(caught.value.fix)
    assert not mark.exists()


def replace_sizes(value: Any, evil: str) -> None:
    if isinstance(value, dict):
        if "expr_str" in value:
            value["expr_str"] = evil
        for item in value.values():
            replace_sizes(item, evil)
    elif isinstance(value, list):
        for item in value:
            replace_sizes(item, evil)


def test_04_program_that_is_data_is_read(elsewhere: Path) -> None:
    sizes = ({0: torch.export.Dim("n", min=2, max=9)},)
    program = torch.export.export(torch.nn.Linear(3, 4), (torch.ones(4, 3),), dynamic_shapes=sizes)
    torch.export.save(program, elsewhere / "a.pt2")
    read = load_program_data(elsewhere / "a.pt2")
    x = torch.arange(6.0).reshape(2, 3)
    torch.testing.assert_close(read.module()(x), program.module()(x))


def test_05_engine_file_is_code(elsewhere: Path) -> None:
    import functools

    from modelport.backends.tensorrt.runtime.engine import engine_code

    (elsewhere / "a.engine").write_bytes(b"engine")
    with pytest.raises(BundleError, match="not known here"):
        engine_code("a.engine", False, elsewhere, "a.engine")
    code = functools.partial(engine_code, "a.engine", True)(elsewhere, "a.engine")
    remember([code.sha256])
    assert engine_code("a.engine", False, elsewhere, "a.engine").read() == b"engine"


def test_06_children_import_nothing_from_the_working_directory(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx_text(elsewhere / "m.onnx", "g (float[n, 3] x) => (float[n, 3] y) { y = Relu(x) }")
    for name in ("ctypes", "json", "selectors", "numpy"):
        (elsewhere / f"{name}.py").write_text(f"open({str(elsewhere / MARK)!r}, 'w')\n")
    command = [
        sys.executable,
        "-P",
        "-m",
        "modelport",
        "bench",
        "m.onnx",
        "--json",
        "--rounds",
        "1",
    ]
    done = subprocess.run(
        command, cwd=elsewhere, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (elsewhere / MARK).exists()


@pytest.mark.parametrize("settings", ["settings", "./settings", ""])
def test_07_keys_and_caches_come_from_absolute_places(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    for folder in ("settings/modelport/keys", ".config/modelport/keys"):
        (elsewhere / folder).mkdir(parents=True)
        make_keys(elsewhere / "k.pem").rename(elsewhere / folder / "evil.pem")
        (elsewhere / "k.pem").unlink()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("XDG_CONFIG_HOME", settings)
    monkeypatch.setenv("HOME", "")
    assert not [key for key in known_keys() if elsewhere in key.absolute().parents]
    monkeypatch.setenv("MODELPORT_CACHE", "cache")
    with pytest.raises(UsageError, match="absolute"):
        cache_folder()


def test_08_what_is_remembered_is_a_plain_file_in_a_closed_folder(elsewhere: Path) -> None:
    digest = "0" * 64
    remember(["1" * 64])
    folder = cache_folder() / "built"
    (folder / digest).symlink_to("/etc/passwd")
    assert not is_remembered(digest)
    assert is_remembered("1" * 64)
    assert not is_remembered("../built/" + "1" * 64)
    folder.chmod(0o777)
    assert not is_remembered("1" * 64)
    with pytest.raises(UsageError, match="not safe"):
        remember([digest])
    folder.chmod(0o700)
    assert is_remembered("1" * 64)


def test_09_library_planted_in_the_cache_is_not_loaded(elsewhere: Path) -> None:
    def make(path: Path) -> None:
        path.write_bytes(b"own")

    path = kept("other/key/a.so", make)
    path.write_bytes(b"planted")
    assert kept("other/key/a.so", make).read_bytes() == b"own"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert kept("other/key/a.so", make).read_bytes() == b"own"
    path.parent.chmod(0o777)
    with pytest.raises(UsageError, match="not safe"):
        kept("other/key/a.so", make)


def test_10_12_signature_is_of_the_bytes_that_were_read(
    sound: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = elsewhere / "maker.pem"
    public = make_keys(private)
    path = Path(shutil.copytree(sound, elsewhere / "a.port"))
    edit.sign(path, private)
    known = elsewhere / "settings" / "modelport" / "keys"
    known.mkdir(parents=True)
    shutil.copyfile(public, known / "maker.pem")
    good = (path / "manifest.json").read_bytes()
    forge(path, path, lambda content: content.update(name="evil"))
    with Bundle.open(path) as opened:
        # The racer puts the signed manifest back once the forged one was read.
        (path / "manifest.json").write_bytes(good)
        assert opened.manifest.name == "evil"
        assert opened.signer is None
    real = edit.make_signature
    with Bundle.open(path) as opened:
        read = opened.data

    def swapping(data: bytes, key: Path) -> bytes:
        forge(path, path, lambda content: content.update(name="evil"))
        assert data == read
        return real(data, key)

    monkeypatch.setattr(edit, "make_signature", swapping)
    edit.sign(path, private)
    assert content_of(path)["name"] != "evil"


def test_11_library_cannot_be_swapped_after_the_check(tmp_path: Path) -> None:
    own = evil_library(tmp_path / "a.so", tmp_path / "own")
    data = own.read_bytes()
    import hashlib

    code = TrustedCode.checked(tmp_path, "a.so", hashlib.sha256(data).hexdigest())
    evil_library(tmp_path / "a.so", tmp_path / MARK)
    assert code.path.read_bytes() == code.read() == data
    with pytest.raises(PermissionError):
        code.path.write_bytes(b"")
    with pytest.raises(DigestError):
        TrustedCode.checked(tmp_path, "a.so", hashlib.sha256(data).hexdigest())
    own.unlink()
    own.symlink_to("/etc/passwd")
    with pytest.raises(OSError):
        TrustedCode.checked(tmp_path, "a.so", "0" * 64)


def test_13_strip_remembers_nothing_that_was_swapped_in(
    code: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = edit.copy_checked

    def swapping(folder: Path, name: str, *others: Any) -> None:
        if name.endswith(".so"):
            (folder / name).write_bytes(b"evil")
        real(folder, name, *others)

    monkeypatch.setattr(edit, "copy_checked", swapping)
    with pytest.raises(BundleError, match="altered"):
        edit.strip(code, elsewhere / "less.port", parts=["report"])
    import hashlib

    assert not is_remembered(hashlib.sha256(b"evil").hexdigest())


def test_32_text_that_is_no_unicode_is_refused(driver: Driver, sound: Path, tmp_path: Path) -> None:
    for index, text in enumerate((b'"\\ud800"', b'"\\u0000"', b'"\\u001b[31m"', b'"\xc2\x9b"')):
        path = raw(
            sound,
            tmp_path / f"{index}.port",
            lambda data: data + b',\n  "note": ' + text,  # noqa: B023
        )
        with pytest.raises(BundleError, match="not readable"):
            modelport.load(path)
        with pytest.raises(Refused, match="not readable"):
            driver.load(path)
