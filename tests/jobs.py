"""The workflow's jobs as forks of one process that has imported what they import.

The tests run the workflow some two hundred times, and its thousands of jobs would spend most of
their time on importing. So `python -m labelmer` is a small program there (SHIM), which hands its
arguments, environment, folder and open files to a server; what answers is a fork of it, in which
labelmer itself, the workspace's own, is imported anew.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

# Nothing of labelmer.
IMPORTED = [
    "h5py",
    "matplotlib.pyplot",
    "pandas",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.linear_model",
    "soundfile",
    "torch._dynamo",
    "transformers.models.bert.modeling_bert",
    "transformers.models.whisper.modeling_whisper",
]
SHIM = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1:3] != ["-m", "labelmer"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
said = json.dumps([sys.argv[3:], dict(os.environ), os.getcwd()]).encode()
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    socket.send_fds(line, [len(said).to_bytes(4, "big")], [0, 1, 2])
    line.sendall(said)
    status = int(line.recv(16) or 1)
    line.recv(1)  # until the job has ended, and with it its locks
    sys.exit(status)
"""


def start(folder):
    """Start a server, which ends with this process; return the folder of its `python`."""
    folder = Path(folder)
    address = str(folder / "jobs.socket")
    shim = folder / "python"
    shim.write_text(SHIM.format(python=sys.executable, address=address))
    shim.chmod(0o755)
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    server = subprocess.Popen([sys.executable, __file__, address], env={**os.environ, **one})
    atexit.register(server.kill)
    while not Path(address).exists():
        if server.poll() is not None:
            raise RuntimeError("the server of the workflow's jobs did not start")
        time.sleep(0.05)
    return folder


def serve(address):
    """Fork for each job that comes, for ever."""
    sys.path.remove(str(Path(__file__).parent))
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address + ".new")
    listening.listen(16)
    Path(address + ".new").rename(address)
    while True:
        line, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            answer(line)
        line.close()


def answer(line):
    """Do one job in this process, tell its exit status, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, _, _ = socket.recv_fds(line, 4, 3)
    said = b""
    while len(said) < int.from_bytes(size, "big"):
        said += line.recv(1 << 16)
    arguments, environment, folder = json.loads(said)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [folder]
    sys.argv = ["labelmer", *arguments]
    status = 0
    try:
        runpy.run_module("labelmer", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    line.sendall(str(status).encode())
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
