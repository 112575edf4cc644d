"""The process that imports once and forks for each command.

A fork keeps one thread alone, so that the server has none beside it: it prepares itself on one
core, where no runtime starts threads.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import types
from pathlib import Path
from typing import Any


def serve(place: str) -> None:
    """Answers each connection by a process of its own, until the standard input ends.

    Args:
        place: Path of the Unix socket.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    _deploy_once()
    os.sched_setaffinity(0, cores)
    assert os.listdir("/proc/self/task") == [str(os.getpid())]
    # What is there already is not looked at again by any collection of a fork.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([0, listening], [], [])
            if 0 in readable:
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(connection)
            connection.close()
            _reap()


def _deploy_once() -> None:
    """Imports what a deployment imports and builds the tables that a first capture builds."""
    import torch

    import modelport
    import modelport.cli.dispatch

    recipe = modelport.Recipe(torch.nn.Linear(3, 2), torch.rand(2, 3), dynamic={"input": [0]})
    with tempfile.TemporaryDirectory() as folder:
        modelport.deploy(recipe, Path(folder) / "linear.port")
    torch.manual_seed(0)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def _answer(connection: socket.socket) -> None:
    """Runs what was asked for in a further process, and says how that ended."""
    head, files, _, _ = socket.recv_fds(connection, 8, 3)
    text = b""
    while len(text) < int.from_bytes(head, "big"):
        text += connection.recv(1 << 16)
    process = os.fork()
    if process == 0:
        connection.close()
        os._exit(_become(json.loads(text), files))
    _, status = os.waitpid(process, 0)
    connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(request: dict[str, Any], files: list[int]) -> int:
    """Turns this process into the command.

    Returns:
        Its exit code. The caller ends the process at once: taking down what was imported would
        cost as much as importing it.
    """
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    try:
        code = _run(request["program"], request["arguments"])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - as the interpreter itself prints it
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _run(program: str, arguments: list[str]) -> int:
    if program == "modelport":
        from modelport.cli import main

        sys.argv = ["modelport", *arguments]
        sys.path.pop(0)
        return main()
    _run_python(arguments)
    return 0


def _run_python(arguments: list[str]) -> None:
    """Does as ``python`` does with ``-c CODE``, ``-m MODULE`` and ``FILE``."""
    first, *others = arguments
    if first == "-c":
        sys.argv, sys.path[0] = ["-c", *others[1:]], ""
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        exec(compile(others[0], "<string>", "exec"), vars(module))
    elif first == "-m":
        sys.argv, sys.path[0] = others, os.getcwd()
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif first.startswith("-"):
        os.execv(sys.executable, [sys.executable, *arguments])
    else:
        sys.argv, sys.path[0] = arguments, str(Path(first).resolve().parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
