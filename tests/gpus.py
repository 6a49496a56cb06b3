"""Stand-ins for the GPUs of a machine: a workspace's jobs take one, and the CPU computes."""

# At the end of labelmer/learning/device.py.
STAND_IN = """

import time
from types import SimpleNamespace
from unittest import mock

real_device_of = device_of
tempfile.tempdir = {folder!r}


def device_of(gpu):
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0,1").split(",")  # as CUDA takes it
    stand_in = mock.Mock(device_count=lambda: len(seen), is_available=lambda: True)
    stand_in.get_device_properties = lambda index: SimpleNamespace(uuid=seen[index])
    with mock.patch.object(torch, "cuda", stand_in):
        device = real_device_of(gpu)
    if device != "cpu":
        name = seen[int(device.removeprefix("cuda:"))]
        notes = Path({folder!r}, "gpus.txt")
        with notes.open("a") as file:
            print(os.environ.get("SLURM_JOB_ID"), name, file=file)
        end = time.monotonic() + 60
        while len(set(notes.read_text().split("\\n"))) <= {at_once} and time.monotonic() < end:
            time.sleep(0.05)
    return "cpu"
"""


def pretend(workspace, at_once=1):
    """Give a workspace's jobs two GPUs, or those that CUDA_VISIBLE_DEVICES names.

    at_once: so many must have been taken before any job goes on.

    Returns a file that gets a line `SLURMS_JOB GPU` for each job.
    """
    module = workspace.folder / "labelmer/learning/device.py"
    folder = workspace.folder.with_name("gpus")
    folder.mkdir()
    with module.open("a") as file:
        file.write(STAND_IN.format(folder=str(folder), at_once=at_once))
    return folder / "gpus.txt"
