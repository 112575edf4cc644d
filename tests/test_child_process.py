"""Child processes: their limits, their end, and the messages that they exchange."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import modelport
from modelport.child_process import Limits, MessageProcess, python_command, run

LONG = 60.0
"""Seconds that no test waits for."""
PARENT = """
import sys, threading
from modelport.child_process import Limits, run
run(["sh", "-c", 'echo $$ > "$0"; sleep 1000 & echo $! >> "$0"; wait', sys.argv[1]], Limits(1000))
"""
WORKER = '''
"""A module that answers, crashes, allocates or hangs."""
import os, sys
from modelport.child_process import Answers, requests

answers = Answers(sys.argv[1])
for message in requests():
    if message["do"] == "add":
        answers.send({"sum": message["a"] + message["b"], "word": sys.argv[2]})
    elif message["do"] == "crash":
        print("before the crash", flush=True)
        os.abort()
    elif message["do"] == "allocate":
        kept = bytearray(os.urandom(1)) * message["bytes"]
    while message["do"] != "add":
        pass
'''


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + LONG
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "some_worker.py").write_text(WORKER)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", path)
    return "some_worker"


def test_output_and_exit_code_are_kept() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], Limits(LONG))
    assert (done.code, done.output, done.errors, done.exceeded) == (3, "out\n", "err\n", "")
    assert done.how == "exit code 3"


def test_a_signal_has_its_name() -> None:
    done = run(["sh", "-c", "kill -SEGV $$"], Limits(LONG))
    assert (done.code, done.how) == (-signal.SIGSEGV, "SIGSEGV")


def test_output_that_is_no_text_is_kept() -> None:
    assert run(["printf", r"a\377b"], Limits(LONG)).output == "a\N{REPLACEMENT CHARACTER}b"


def test_a_program_that_is_missing_is_an_os_error() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        run(["/no/such/program"], Limits(LONG))
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_takes_too_long_ends_with_its_own_children() -> None:
    done = run(["sh", "-c", "sleep 1000 & echo $!; wait"], Limits(0.5))
    assert done.code == -signal.SIGKILL
    assert done.how == "it took too long"
    assert eventually(lambda: not is_alive(int(done.output)))


def test_children_that_are_left_behind_end() -> None:
    done = run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"], Limits(LONG))
    assert done.code == 0
    assert eventually(lambda: not is_alive(int(done.output)))


def test_what_takes_too_much_memory_ends() -> None:
    code = "import os, time\nkept = bytearray(os.urandom(1)) * (300 << 20)\ntime.sleep(1000)"
    done = run([sys.executable, "-c", code], Limits(LONG, 200 << 20))
    assert done.code == -signal.SIGKILL
    assert done.how == "it used more than 0.21 GB of memory"


def test_memory_of_grandchildren_counts_and_shared_memory_counts_once() -> None:
    code = (
        "import os, sys, time\nkept = bytearray(os.urandom(1)) * (150 << 20)\n"
        "children = [os.fork() for _ in range(2)]\n"
        "if 0 in children:\n"
        "    own = bytearray(os.urandom(1)) * (int(sys.argv[1]) << 20)\n"
        "time.sleep(2)\n"
    )
    # Four processes share 150 MB; each of the three children has so much of its own.
    assert run([sys.executable, "-c", code, "0"], Limits(LONG, 350 << 20)).exceeded == ""
    assert run([sys.executable, "-c", code, "100"], Limits(LONG, 350 << 20)).exceeded != ""


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    noted = tmp_path / "processes"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(noted)]) as parent:
        assert eventually(lambda: noted.exists() and len(noted.read_text().split()) == 2)
        family = [int(word) for word in noted.read_text().split()]
        assert all(map(is_alive, family))
        parent.kill()
    assert eventually(lambda: not any(map(is_alive, family)))


def test_a_module_beside_a_model_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the working directory')")
    monkeypatch.chdir(tmp_path)
    assert run(python_command("this"), Limits(LONG)).code == 0
    assert "Beautiful" in run(python_command("this"), Limits(LONG)).output
    assert run(python_command("json.tool", "/no/such/file"), Limits(LONG)).code == 2


def test_messages_go_both_ways(worker: str) -> None:
    with MessageProcess(worker, "word") as process:
        process.send({"do": "add", "a": 2, "b": 3})
        assert process.receive(LONG) == {"sum": 5, "word": "word"}
        process.stop()
        process.send({"do": "add", "a": 1, "b": 1})
        process.resume()
        assert process.receive(LONG) == {"sum": 2, "word": "word"}


def test_a_worker_that_crashes_ends_with_a_reason(worker: str) -> None:
    with MessageProcess(worker, "") as process:
        process.send({"do": "crash"})
        assert process.receive(LONG) is None
        end = process.death()
        assert end.how == "SIGABRT"
        assert end.output.startswith("before the crash")
        process.send({"do": "add", "a": 1, "b": 1})
        assert process.receive(LONG) is None


def test_a_worker_that_hangs_ends_with_a_reason(worker: str) -> None:
    with MessageProcess(worker, "") as process:
        process.send({"do": "hang"})
        assert process.receive(1.0) is None
        assert process.death().how == "it took too long"


def test_a_worker_beyond_its_memory_ends_with_a_reason(worker: str) -> None:
    with MessageProcess(worker, "", memory=200 << 20) as process:
        process.send({"do": "allocate", "bytes": 300 << 20})
        assert process.receive(LONG) is None
        assert process.death().how == "it used more than 0.21 GB of memory"


def test_no_other_module_starts_processes() -> None:
    root = Path(modelport.__file__).parent
    starts = re.compile(
        r"\b(subprocess|multiprocessing|os\.(fork|system|popen|spawn\w*|exec\w*))\b"
    )
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if starts.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"child_process.py"}
