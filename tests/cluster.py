"""A real Slurm with accounting on this one machine, for as long as a test needs it.

munge vouches for who asks, MariaDB and slurmdbd keep the accounting, slurmctld the queue, and
slurmd is the one node. Its two GPUs are devices that nothing computes on: Slurm hands them out all
the same.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

# Program: Debian's package.
NEEDED = {
    "munged": "munge",
    "mariadbd": "mariadb-server",
    "slurmdbd": "slurmdbd",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "sacct": "slurm-wlm",
}
# The jobs look for it there alone: the executor's plugin takes SLURM_CONF out of their environment.
PLACE = Path("/etc/slurm")
SLURM = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort=16817
SlurmdPort=16818
Prolog={folder}/prolog
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=16819
AccountingStoragePass={folder}/munge/socket
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux
GresTypes=gpu
MpiDefault=none
ReturnToService=2
MinJobAge=3600
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2
PartitionName=batch Nodes={host} Default=YES MaxTime=INFINITE
"""
GRES = "NodeName={host} Name=gpu File={folder}/gpu[0-1]\n"
ACCOUNTING = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort=16819
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""
# Which GPUs a job has: accounting knows but their number.
PROLOG = '#!/bin/sh\necho "$SLURM_JOB_ID ${{SLURM_JOB_GPUS:--}}" >> {folder}/gpus.txt\n'
SETTINGS = {"slurm.conf": SLURM, "gres.conf": GRES, "slurmdbd.conf": ACCOUNTING}
PORT = 16820
DATABASE = (
    "create database slurm; create user slurm@'127.0.0.1' identified by 'slurm'; "
    "grant all on slurm.* to slurm@'127.0.0.1'"
)


def why_not():
    """Why Slurm cannot be started here; nothing if it can."""
    absent = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if absent:
        return f"Slurm is not installed: apt-get install {' '.join(absent)}"
    if os.geteuid():
        return "Slurm is started by root alone"
    for path in (PLACE / name for name in SETTINGS):
        if os.path.lexists(path):
            return (
                f"this machine has a Slurm of its own, or a test of one was killed: remove {path}"
            )
    return ""


@contextmanager
def slurm():
    """While it runs: a file that gets a line `JOB GPU,...` for each job that starts.

    What is still in the queue in the end is cancelled.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
        folder.chmod(0o755)  # munge and MariaDB are users of their own
        configure(folder, stack)
        for start in (munge, mariadb, accounting, queue_and_node):
            start(folder, stack)
        yield folder / "gpus.txt"


def configure(folder, stack):
    """Write what the daemons are told, and make the two GPUs."""
    said = {
        "folder": folder,
        "port": PORT,
        "host": socket.gethostname().split(".")[0],
        "cpus": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 1024,
    }
    for name, text in {**SETTINGS, "prolog": PROLOG}.items():
        (folder / name).write_text(text.format(**said))
    (folder / "slurmdbd.conf").chmod(0o600)
    (folder / "prolog").chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for number in range(2):
        os.mknod(folder / f"gpu{number}", 0o20666, os.makedev(1, 3))

    PLACE.mkdir(exist_ok=True)
    for path in folder.glob("*.conf"):
        link = PLACE / path.name
        link.symlink_to(path)
        stack.callback(link.unlink)


def munge(folder, stack):
    own = owned(folder / "munge", "munge")
    (own / "key").write_bytes(os.urandom(1024))
    shutil.chown(own / "key", "munge")
    (own / "key").chmod(0o400)
    files = [f"--{name}-file={own}/{name}" for name in ("key", "pid", "log", "seed")]
    socket = f"--socket={own}/socket"
    run(stack, ["munged", "--foreground", *files, socket], ["munge", "-n", socket], user="munge")


def mariadb(folder, stack):
    data = owned(folder / "mariadb", "mysql")
    own = ["--no-defaults", f"--datadir={data}", "--user=mysql"]
    once("mariadb-install-db", *own, "--auth-root-authentication-method=normal")
    own += [f"--socket={data}/socket", f"--pid-file={data}/pid", f"--port={PORT}"]
    client = ["mariadb", "--no-defaults", f"--socket={data}/socket", "--user=root", "--execute"]
    run(stack, ["mariadbd", *own, "--bind-address=127.0.0.1"], [*client, "select 1"])
    once(*client, DATABASE)


def accounting(folder, stack):
    run(stack, ["slurmdbd", "-D"], ["sacctmgr", "show", "cluster"])
    for entity in (["cluster", "test"], ["account", "none"], ["user", "root", "account=none"]):
        once("sacctmgr", "-i", "add", *entity)


def queue_and_node(folder, stack):
    run(stack, ["slurmctld", "-D"], ["scontrol", "ping"])
    run(stack, ["slurmd", "-D"], ["sh", "-c", "sinfo -h -o %t | grep -q idle"])
    stack.callback(empty_the_queue)


def empty_the_queue():
    once("scancel", "--user=root")
    end = time.monotonic() + 60
    while once("squeue", "--noheader") and time.monotonic() < end:
        time.sleep(0.2)


def owned(folder, user):
    """A new folder that is a user's."""
    folder.mkdir()
    shutil.chown(folder, user)
    return folder


def once(*command):
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True).stdout


def run(stack, command, ready, **options):
    """Start a daemon, which the stack stops, and wait until another command succeeds.

    RuntimeError: the daemon ended, or did not get ready in a minute.
    """
    with tempfile.TemporaryFile("w+") as said:
        daemon = subprocess.Popen(command, stdout=said, stderr=said, **options)
        stack.callback(stop, daemon)
        end = time.monotonic() + 60
        while subprocess.run(ready, capture_output=True, stdin=subprocess.DEVNULL).returncode:
            if daemon.poll() is not None or time.monotonic() > end:
                said.seek(0)
                raise RuntimeError(f"{command[0]} did not start: {said.read()[-2000:]}")
            time.sleep(0.2)


def stop(daemon):
    daemon.terminate()
    try:
        daemon.wait(30)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
