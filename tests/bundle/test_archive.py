from __future__ import annotations

import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

import modelport
from modelport import BundleError
from modelport.bundle import archive
from modelport.bundle.archive import pack, unpack
from tests.support import snapshot


def entries(bundle: Path) -> dict[str, bytes]:
    return snapshot(bundle)


def zipped_with(
    path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED
) -> zipfile.ZipFile:
    made = zipfile.ZipFile(path, "w", method)
    for name, data in files.items():
        made.writestr(name, data)
    return made


def directory(data: bytearray) -> list[int]:
    """Where the entries of the directory at the end of a zip file begin (APPNOTE 4.3.12)."""
    end = data.rindex(b"PK\x05\x06")
    count, _, place = struct.unpack_from("<HII", data, end + 10)
    places = []
    for _ in range(count):
        places.append(place)
        place += 46 + sum(struct.unpack_from("<HHH", data, place + 28))
    return places


def test_packing_is_the_same_every_time(bundle: Path, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "a.zip")
    for path in bundle.rglob("*"):
        os.utime(path, (1e9, 1e9))
    (bundle / "report.html").chmod(0o600)
    pack(bundle, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_other_programs_read_it(bundle: Path, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == entries(bundle)


def test_compressed_entries_are_read(bundle: Path, tmp_path: Path) -> None:
    zipped_with(tmp_path / "a.port", entries(bundle), zipfile.ZIP_DEFLATED).close()
    assert modelport.load(tmp_path / "a.port")


def test_entry_that_is_there_twice_is_refused(bundle: Path, tmp_path: Path) -> None:
    files = entries(bundle)
    with zipped_with(tmp_path / "a.port", files) as made, pytest.warns(UserWarning, match="Dupl"):
        made.writestr("report.html", files["report.html"])
    with pytest.raises(BundleError, match=r"report.html is in the zip file twice"):
        modelport.load(tmp_path / "a.port")


def test_entry_that_the_manifest_lacks_is_refused(bundle: Path, tmp_path: Path) -> None:
    zipped_with(tmp_path / "a.port", {**entries(bundle), "more.txt": b"x"}).close()
    with pytest.raises(BundleError, match=r"more.txt is not in the bundle's manifest"):
        modelport.load(tmp_path / "a.port")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_link_in_a_zip_is_refused(bundle: Path, tmp_path: Path, kind: int) -> None:
    files = entries(bundle)
    del files["report.html"]
    with zipped_with(tmp_path / "a.port", files) as made:
        entry = zipfile.ZipInfo("report.html")
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        made.writestr(entry, "/etc/passwd")
    with pytest.raises(BundleError, match=r"report.html is not a regular file"):
        modelport.load(tmp_path / "a.port")


def test_link_in_a_directory_is_refused(bundle: Path, tmp_path: Path) -> None:
    data = (bundle / "report.html").read_bytes()
    (tmp_path / "outside.html").write_bytes(data)
    (bundle / "report.html").unlink()
    (bundle / "report.html").symlink_to(tmp_path / "outside.html")
    with pytest.raises(BundleError, match=r"report.html is not a regular file"):
        modelport.load(bundle)
    (bundle / "report.html").unlink()
    (bundle / "report.html").write_bytes(data)
    (bundle / "cases").rename(tmp_path / "cases")
    (bundle / "cases").symlink_to(tmp_path / "cases")
    with pytest.raises(BundleError, match="cases is not a regular file"):
        modelport.load(bundle)


def test_pipe_in_a_directory_is_refused_and_not_waited_for(bundle: Path) -> None:
    (bundle / "report.html").unlink()
    os.mkfifo(bundle / "report.html")
    with pytest.raises(BundleError, match="not a regular file"):
        modelport.load(bundle)


def test_file_that_the_manifest_lacks_is_refused(bundle: Path) -> None:
    (bundle / "graphs" / "model.onnx.data").write_bytes(b"weights of somebody else")
    with pytest.raises(BundleError, match=r"model.onnx.data is not in the bundle's manifest"):
        modelport.load(bundle)


def test_entry_with_more_than_the_manifest_says_stops_there(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = entries(bundle)
    bomb = bytes(50_000_000)
    zipped_with(tmp_path / "a.port", {**files, "report.html": bomb}, zipfile.ZIP_DEFLATED).close()
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    with pytest.raises(BundleError, match=r"report.html has more than the"):
        unpack(tmp_path / "a.port", unpacked)
    assert (unpacked / "report.html").stat().st_size <= len(files["report.html"])


def test_zip_that_would_grow_without_measure_is_refused(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = entries(bundle)
    pack(bundle, tmp_path / "a.port")
    data = bytearray((tmp_path / "a.port").read_bytes())
    # It says four gigabytes of every file but the manifest.
    for place in directory(data):
        if b"manifest.json" not in data[place + 46 : place + 60]:
            struct.pack_into("<I", data, place + 24, 0xFFFFFFF0)
    (tmp_path / "a.port").write_bytes(data)
    with pytest.raises(BundleError, match=r"would unpack to [\d,]+ bytes"):
        modelport.load(tmp_path / "a.port")
    monkeypatch.setattr(archive, "FREE_BYTES", 10)
    monkeypatch.setattr(archive, "EXPANSION", 1)
    zipped_with(tmp_path / "b.port", files, zipfile.ZIP_DEFLATED).close()
    with pytest.raises(BundleError, match=r"would unpack to [\d,]+ bytes"):
        modelport.load(tmp_path / "b.port")


def test_manifest_of_a_zip_has_its_limit(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped_with(tmp_path / "a.port", entries(bundle)).close()
    monkeypatch.setattr(archive, "MANIFEST_LIMIT", 100)
    with pytest.raises(BundleError, match=r"manifest.json has more than the 100 bytes"):
        modelport.load(tmp_path / "a.port")


def test_encrypted_entry_is_refused(bundle: Path, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "a.port")
    data = bytearray((tmp_path / "a.port").read_bytes())
    for place in directory(data):
        data[place + 8] |= 1
    (tmp_path / "a.port").write_bytes(data)
    with pytest.raises(BundleError, match="is encrypted"):
        modelport.load(tmp_path / "a.port")


def test_name_that_is_cut_at_a_zero_byte_is_refused(bundle: Path, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "a.port")
    data = (tmp_path / "a.port").read_bytes().replace(b"report.html", b"report\0html")
    (tmp_path / "a.port").write_bytes(data)
    with pytest.raises(BundleError, match="lies outside"):
        modelport.load(tmp_path / "a.port")
