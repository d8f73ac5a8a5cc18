"""Runs Snakemake and steps in forks of one process that has the libraries loaded.

A job of the toy workflow computes for some hundredths of a second, after seconds of imports of
torch and transformers; a workflow test would be nine tenths imports. ``shim`` makes a folder whose
``python`` hands ``python -m snakemake`` and ``python -m ace_steps...`` to such a process and is the
interpreter itself for everything else. The package under test is not loaded before a fork: each
copy of the checkout runs its own.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

LIBRARIES = (
    *("numpy", "polars", "pyarrow.parquet", "pydantic", "safetensors.numpy", "scipy.linalg"),
    *("yaml", "requests", "tenacity", "tqdm", "jinja2", "matplotlib.figure", "snakemake.cli"),
    *("torch", "torch._dynamo", "torch.optim", "transformers", "transformers.modeling_utils"),
)
CLIENT = """#!{python} -IS
import json, os, socket, sys
arguments = sys.argv[1:]
if not (arguments[:1] == ["-m"] and arguments[1].split(".")[0] in ("snakemake", "ace_steps")):
    os.execv("{python}", ["{python}", *arguments])
server = socket.socket(socket.AF_UNIX)
server.connect("{address}")
call = dict(module=arguments[1], arguments=arguments[2:], folder=os.getcwd(), env=dict(os.environ))
call["program"] = __file__
text = json.dumps(call).encode()
socket.send_fds(server, [len(text).to_bytes(4, "big")], [0, 1, 2])
server.sendall(text)
sys.exit((server.recv(1) or b"\\xff")[0])
"""


@contextmanager
def shim(folder: Path):
    """A folder to put first on PATH, as long as the block lasts."""
    address, program = folder / "socket", folder / "bin/python"
    program.parent.mkdir(parents=True)
    program.write_text(CLIENT.format(python=sys.executable, address=address))
    program.chmod(0o755)
    command = [sys.executable, __file__, str(address)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        yield program.parent
    finally:
        server.terminate()
        server.wait()


def serve(address: str) -> None:
    """Fork for each call that comes to the address."""
    for name in LIBRARIES:
        __import__(name)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        client, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            child = os.fork()  # of its own, as it may end in any way
            if child == 0:
                os._exit(answer(client))
            _, status = os.waitpid(child, 0)
            client.send(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))
            os._exit(0)
        client.close()


def answer(client: socket.socket) -> int:
    """Run what a client asks for with its files, folder and environment; the exit code."""
    size, files, *_ = socket.recv_fds(client, 4, 3)
    text = b""
    while len(text) < int.from_bytes(size, "big"):
        text += client.recv(2**16)
    call = json.loads(text)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["env"])
    sys.argv = ["", *call["arguments"]]
    sys.executable = call["program"]  # what Snakemake starts its jobs with
    sys.path[0] = call["folder"]  # where ``python -m`` looks first; a script's folder until now
    try:
        runpy.run_module(call["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
