from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport import Bundle, BundleError, Target, UsageError
from modelport.backends.base import Artifact
from modelport.bundle import Manifest
from modelport.bundle.digital_signature import make_keys, signer_of
from modelport.bundle.edit import sign, strip
from modelport.ops.elf_check import platform_name

X = {"x": np.arange(10, dtype=np.float32).reshape(2, 5)}
WANTED = (X["x"] * X["x"] * np.float32(0.5) + X["x"]) * 2
LIBRARY = f"operators/{platform_name()}/tinted.so"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pytest.importorskip("cryptography", reason="the extra `sign` is not installed")
    private = tmp_path_factory.mktemp("keys") / "maker.pem"
    return private, make_keys(private)


def test_what_was_built_here_loads_freely(native: Path) -> None:
    np.testing.assert_allclose(modelport.load(native).run(X)["y"], WANTED, rtol=1e-6)


def test_foreign_code_is_not_loaded(native: Path, elsewhere: Path) -> None:
    with pytest.raises(BundleError, match="code that is not known here") as caught:
        modelport.load(native)
    assert LIBRARY in str(caught.value)
    assert "trust=True" in str(caught.value)
    with Bundle.open(native) as opened, pytest.raises(BundleError, match="not known"):
        opened.load()
    with pytest.raises(BundleError, match="not known"):
        modelport.verify(native)
    with pytest.raises(BundleError, match="not known"):
        modelport.self_test(native)


def test_foreign_code_loads_where_the_caller_says_so(native: Path, elsewhere: Path) -> None:
    np.testing.assert_allclose(modelport.load(native, trust=True).run(X)["y"], WANTED, rtol=1e-6)
    assert all(result.ok for result in modelport.verify(native, trust=True).values())
    with pytest.raises(BundleError):
        modelport.load(native)


def test_foreign_bundle_without_code_needs_no_trust(bundle: Path, elsewhere: Path) -> None:
    assert modelport.load(bundle)


def test_writing_a_foreign_bundle_anew_does_not_make_it_known(code: Path, elsewhere: Path) -> None:
    strip(code, elsewhere / "less.port", parts=["report"])
    with pytest.raises(BundleError, match="not known"):
        modelport.load(elsewhere / "less.port")


def test_known_library_under_another_name_is_known_and_another_is_not(
    code: Path, reseal: Callable[..., None]
) -> None:
    with (code / LIBRARY).open("ab") as file:
        file.write(b"\0")
    reseal(code)
    with pytest.raises(BundleError, match="not known"):
        modelport.load(code)


def test_memory_of_another_user_does_not_count(
    native: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.getuid()
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    with pytest.raises(BundleError, match="not known"):
        modelport.load(native)


@pytest.mark.parametrize(
    "artifact",
    [
        Artifact("graphs/model.onnx", (), {"libraries": ["operators/{platform}/tinted.so"]}),
        Artifact("graphs/model.onnx", (), {"libraries": [LIBRARY]}),
        Artifact("graphs/model.onnx", (), {"libraries": ["/tmp/evil.so"]}),
        Artifact("graphs/model.onnx", ("../evil.so",), {"libraries": ["../evil.so"]}),
        Artifact("graphs/model.onnx", (), {"deep": {"er": [["report.html"]]}}),
        Artifact("../model.onnx"),
        Artifact("report.html"),
    ],
)
def test_options_cannot_name_what_is_not_the_engines(
    code: Path, reseal: Callable[..., None], elsewhere: Path, artifact: Artifact
) -> None:
    def change(manifest: Manifest) -> Manifest:
        return dataclasses.replace(manifest, artifacts={Target("onnxruntime"): artifact})

    reseal(code, change)
    with pytest.raises(BundleError, match="says what cannot be"):
        modelport.load(code)


def test_program_beside_the_graph_counts_as_code(
    bundle: Path, reseal: Callable[..., None], elsewhere: Path
) -> None:
    (bundle / "graphs" / "model.pt2").write_bytes(b"pickled")

    def change(manifest: Manifest) -> Manifest:
        return dataclasses.replace(
            manifest, artifacts={Target("torch"): Artifact("graphs/model.onnx")}
        )

    reseal(bundle, change)
    with pytest.raises(BundleError, match=r"not known here: graphs/model.pt2"):
        modelport.load(bundle)


def test_signed_bundle_loads_where_the_key_is_known(
    code: Path, keys: tuple[Path, Path], elsewhere: Path
) -> None:
    private, public = keys
    sign(code, private)
    with pytest.raises(BundleError, match="signed by no key that is known here"):
        modelport.load(code)
    known = elsewhere / "settings" / "modelport" / "keys"
    known.mkdir(parents=True)
    (known / "maker.pem").write_bytes(public.read_bytes())
    np.testing.assert_allclose(modelport.load(code).run(X)["y"], WANTED, rtol=1e-6)
    with Bundle.open(code) as opened:
        assert opened.signed == f"signed by {known / 'maker.pem'}"


@pytest.mark.parametrize("form", ["directory", "zip"])
def test_key_that_is_asked_for_must_fit(
    code: Path, keys: tuple[Path, Path], elsewhere: Path, form: str
) -> None:
    private, public = keys
    if form == "zip":
        strip(code, elsewhere / "dir.port", parts=["report"])
        with modelport.bundle.BundleWriter(elsewhere / "zip.port", zipped=True) as writer:
            shutil.copytree(elsewhere / "dir.port", writer.folder, dirs_exist_ok=True)
            writer.place()
        code = elsewhere / "zip.port"
    with pytest.raises(BundleError, match="the bundle is not signed"):
        modelport.load(code, key=public)
    sign(code, private)
    np.testing.assert_allclose(modelport.load(code, key=public).run(X)["y"], WANTED, rtol=1e-6)
    other = make_keys(elsewhere / "other.pem")
    with pytest.raises(BundleError, match="not signed by"):
        modelport.load(code, key=other)
    # A key that is no key is the caller's mistake, not the bundle's.
    with pytest.raises(UsageError, match="the key"):
        modelport.load(code, key=private)


def test_signature_holds_for_no_other_content(
    code: Path, keys: tuple[Path, Path], elsewhere: Path, reseal: Callable[..., None]
) -> None:
    private, public = keys
    sign(code, private)
    signature = (code / "manifest.sig").read_bytes()
    (code / "manifest.sig").unlink()
    (code / "report.html").write_text("<p>other</p>")
    reseal(code)
    (code / "manifest.sig").write_bytes(signature)
    with pytest.raises(BundleError, match="not signed by"):
        modelport.load(code, key=public)
    for damaged in (b"", signature[:-1], signature[:-1] + b"\0", b"\0" * 64):
        (code / "manifest.sig").write_bytes(damaged)
        with pytest.raises(BundleError):
            modelport.load(code, key=public)


def test_changing_a_signed_bundle_takes_the_signature_away(
    code: Path, keys: tuple[Path, Path]
) -> None:
    sign(code, keys[0])
    assert (code / "manifest.sig").stat().st_size == 64
    strip(code, parts=["report"])
    assert not (code / "manifest.sig").exists()


def test_private_key_is_its_owners_alone(keys: tuple[Path, Path]) -> None:
    assert keys[0].stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="there already"):
        make_keys(keys[0])


def test_openssl_agrees(code: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    sign(code, private)
    check = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(public)]
    files = ["-in", str(code / "manifest.json"), "-sigfile", str(code / "manifest.sig")]
    try:
        done = subprocess.run([*check, *files], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no openssl")
    assert "Verified Successfully" in done.stdout, done.stderr
    made = tmp_path / "openssl.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(made)], check=True)
    sign(code, made)
    subprocess.run(
        ["openssl", "pkey", "-in", str(made), "-pubout", "-out", str(tmp_path / "p.pem")],
        check=True,
    )
    with Bundle.open(code, key=tmp_path / "p.pem"):
        pass


def test_signature_is_the_standards(tmp_path: Path) -> None:
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric import ed25519

    # RFC 8032, 7.1, test 2.
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    (tmp_path / "p.pem").write_bytes(
        key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    assert signer_of(b"\x72", bytes.fromhex(signature), [tmp_path / "p.pem"])
    assert signer_of(b"\x73", bytes.fromhex(signature), [tmp_path / "p.pem"]) is None
