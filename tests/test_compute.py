"""compute: every process that wants a GPU has its own, as long as there are enough."""

import multiprocessing
from types import SimpleNamespace

import pytest

from labelmer.learning import device


@pytest.fixture
def started(tmp_path, monkeypatch):
    """started(visible): a process of its own that sees these GPUs; its device, and itself."""
    monkeypatch.setattr(device.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: True)
    context, running = multiprocessing.get_context("fork"), []

    def work(visible, pipe):
        cuda, current = device.torch.cuda, []
        cuda.set_device = current.append
        cuda.device_count = lambda: len(visible)
        cuda.get_device_properties = lambda index: SimpleNamespace(uuid=visible[index])
        pipe.send([device.device_of(1), device.device_of(1), device.device_of(0), current])
        pipe.recv()

    def start(visible):
        here, there = context.Pipe()
        process = context.Process(target=work, args=(visible, there))
        process.start()
        running.append((process, here))
        first, again, cpu, current = here.recv()
        assert first == again and cpu == "cpu" and set(current) == {int(first[-1])}
        return first, process

    yield start
    for process, pipe in running:
        if process.is_alive():
            pipe.send(None)
        process.join()


def test_every_process_has_a_gpu_of_its_own_until_it_ends(started):
    first, one = started("abc")
    second, _ = started("abc")
    assert (first, second) == ("cuda:0", "cuda:1")
    assert started("cb")[0] == "cuda:0"  # c by another index
    assert started("bac")[0] in ("cuda:0", "cuda:1", "cuda:2")  # shared: none is left
    one.kill()
    one.join()
    assert started("bca")[0] == "cuda:2"  # a is free again, however its process ended


def test_without_a_gpu_the_cpu_does_the_work_and_it_is_said(monkeypatch, caplog):
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: False)
    assert (device.device_of(1), device.device_of(0)) == ("cpu", "cpu")
    assert caplog.text.count("PyTorch finds no GPU") == 1
