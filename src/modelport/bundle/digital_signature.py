"""Signatures of bundles: ed25519 (RFC 8032) over the bytes of the manifest.

The keys are PEM files as OpenSSL writes them: ``openssl genpkey -algorithm ed25519``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.errors import UsageError
from modelport.extras import install_command
from modelport.files.private_folder import user_folder, why_not_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519

_MAKE = "modelport bundle keygen makes a pair of keys; so does openssl genpkey -algorithm ed25519"


def known_keys() -> list[Path]:
    """The public keys that this user trusts: ``modelport/keys/*.pem`` in the user's settings.

    Other users' files are no keys of this user: where they can write to the folder, it has none.
    """
    folder = keys_folder()
    if folder is None or not folder.is_dir() or why_not_private(folder):
        return []
    return sorted(folder.glob("*.pem"))


def keys_folder() -> Path | None:
    """``$XDG_CONFIG_HOME/modelport/keys``, ``~/.config/modelport/keys`` by default.

    Only absolute paths count. None where there is no home.
    """
    try:
        return user_folder("XDG_CONFIG_HOME", ".config") / "modelport" / "keys"
    except OSError:
        return None


def make_keys(private: Path) -> Path:
    """Makes a pair of keys.

    Args:
        private: Where to write the private key, readable by its owner alone.

    Returns:
        The public key, beside it: ``NAME.pub.pem`` for ``NAME.pem``.

    Raises:
        UsageError: One of the files is there already or cannot be written, or the package
            ``cryptography`` is missing.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    public = private.with_suffix(".pub.pem")
    key = ed25519.Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    shown = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if public.exists():
        raise UsageError(f"{public} is there already", fix="choose another place")
    try:
        with open(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        public.write_bytes(shown)
    except FileExistsError as error:
        raise UsageError(f"{private} is there already", fix="choose another place") from error
    except OSError as error:
        raise UsageError(f"cannot write {private}: {error.strerror}") from error
    return public


def make_signature(data: bytes, private: Path) -> bytes:
    """Signs bytes.

    Args:
        data: The bytes.
        private: A PEM file with a private ed25519 key, without a password.

    Returns:
        The 64 bytes of the signature.

    Raises:
        UsageError: The key cannot be read, or the package ``cryptography`` is missing.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(private, error) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(f"{private} is not a private ed25519 key", fix=_MAKE)
    signature: bytes = key.sign(data)
    return signature


def signer_of(data: bytes, signature: bytes, keys: Iterable[Path]) -> Path | None:
    """The owner of a signature's key.

    Args:
        data: The bytes that were signed.
        signature: The signature.
        keys: PEM files with public keys.

    Returns:
        The first key by which the signature holds; None where there is none.

    Raises:
        UsageError: A key cannot be read, or the package ``cryptography`` is missing.
    """
    _require_cryptography()
    from cryptography.exceptions import InvalidSignature

    for path in keys:
        try:
            _read_public(path).verify(signature, data)
        except InvalidSignature:
            continue
        return path
    return None


def _read_public(path: Path) -> ed25519.Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable(path, error) from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"{path} is not a public ed25519 key", fix=_MAKE)
    return key


def _unreadable(path: Path, error: BaseException) -> UsageError:
    why = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
    return UsageError(f"cannot read the key {path}", why=why, fix=_MAKE)


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "signatures need the package cryptography", fix=install_command("sign")
        ) from error
