from __future__ import annotations

import hashlib
from pathlib import Path

from modelport.bundle.checksums import sha256


def test_sha256_is_the_standards(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert sha256(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
