"""What several test files share: a copy of the repository to run, and what lies beside it."""

import atexit
import errno
import functools
import json
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import jobs
import pytest
import yaml
from filelock import FileLock

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared"

# Snakemake starts some two hundred times: each start is a fork of a process that has imported it,
# and nothing of labelmer, which is each workspace's own.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "h5py",
        "jsonschema",
        "pandas",
        "scipy.sparse.csgraph",
        "smart_open",
        "snakemake.cli",
        "snakemake.report.html_reporter",
    ]
)


def pytest_collection_modifyitems(items):
    """Files with slow tests come first: in the end no process waits for another with a long one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@functools.cache
def python_of_jobs():
    """The folder of the `python` that jobs start, which is this process' own (see jobs.py)."""
    folder = tempfile.mkdtemp(prefix="labelmer-jobs-")
    atexit.register(shutil.rmtree, folder)
    return str(jobs.start(folder))


def run_snakemake(arguments, folder, output, python):
    """What the command `snakemake` does, in a folder; all that it prints goes to a file.

    python: the folder of the jobs' `python`.
    """
    for stream in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PATH"] = os.pathsep.join([python, os.environ["PATH"]])
    os.environ["PYTHONPATH"] = str(folder)
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""  # all the jobs start from the same modules
    sys.argv = ["snakemake", *arguments]
    from snakemake.cli import main

    main()


class Workspace:
    """A copy of the repository's code in a folder of its own, where the workflow is run."""

    def __init__(self, folder):
        self.folder = Path(folder)
        for name in ("labelmer", "workflow", "profiles", "envs"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, self.folder / name, ignore=ignore)
        for name in ("Snakefile", "config.yaml", "demo.yaml"):
            shutil.copy(REPOSITORY / name, self.folder / name)

    @classmethod
    def at(cls, folder):
        """The workspace that stands in a folder."""
        made = cls.__new__(cls)
        made.folder = Path(folder)
        return made

    def copied(self, folder):
        """A copy of it, with all its results, in a folder that is not there yet."""
        return Workspace.at(shutil.copytree(self.folder, folder))

    def configure(self, config):
        """Write the config that snakemake() uses."""
        (self.folder / "test.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def config(self):
        """The config as it stands."""
        return yaml.safe_load((self.folder / "test.yaml").read_text())

    def snakemake(self, *arguments, config="test.yaml", gpu=True, check=True, cores=2):
        """Run the workflow; return its exit status and its output."""
        given = [*arguments, "--configfile", config, "--cores", str(cores)]
        if gpu:
            given += ["--resources", "gpu=1"]
        return self.as_given(given, check)

    def as_given(self, given, check=True):
        """Run the workflow with these arguments alone; return its exit status and its output."""
        with tempfile.NamedTemporaryFile("r", suffix=".out") as said:
            run = SERVER.Process(
                target=run_snakemake, args=(given, self.folder, said.name, python_of_jobs())
            )
            run.start()
            run.join()
            output = said.read()
        assert not check or run.exitcode == 0, output
        return run.exitcode, output

    def jobs(self, *targets, **options):
        """What a dry run would do: a set of (rule, first output file), without `all`."""
        _, output = self.snakemake(*targets, "--dry-run", **options)
        found = re.findall(  # those of a group stand further right
            r"^( *)(?:local)?(?:rule|checkpoint) (\w+):\n(?:\1    .*\n)*?\1    output: (\S+)",
            output,
            re.M,
        )
        return {(rule, path.rstrip(",")) for _, rule, path in found}


def tiny_config(**corpus):
    """demo.yaml on a tiny corpus in the folder `corpus`, its networks tiny and hardly trained.

    corpus: more keys of that section.
    """
    config = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
    config["corpus"].update(name="tiny", root="corpus", **corpus)
    del config["corpus"]["rationales"]
    config["model"] = {"width": 8, "heads": 2, "frame_stride": 8}
    config["training"] = {"epochs": 1, "updates": 1}
    return config


def tiny_study(variants, **corpus):
    """tiny_config for a corpus of two sessions, with some variants, all of which are run."""
    config = tiny_config(**corpus)
    config["folds"].update(validation="dialogues", fraction=0.5)
    config["variants"] = variants
    config["experiments"][0]["variants"] = list(variants)
    return config


def made_once(tmp_path_factory, name, make):
    """The workspace that make(folder) makes: once, for all the processes that run the tests.

    No test may change it: each that wants to takes a copy.
    """
    top = tmp_path_factory.getbasetemp()
    folder = (top.parent if "PYTEST_XDIST_WORKER" in os.environ else top) / name
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return Workspace.at(folder)


def workflow_files(workspace):
    """What the workflow wrote: {path below the workspace: (time, content)}."""
    paths = [
        path
        for name in ("results", "logs", "benchmarks", "resources")
        for path in (workspace.folder / name).rglob("*")
        if path.is_file()
    ]
    return {
        str(path.relative_to(workspace.folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in paths
    }


def beside(*parts):
    """A folder beside the repository that is no part of it; without it the test is skipped."""
    folder = SHARED.joinpath(*parts)
    if not folder.exists():
        pytest.skip(f"{folder} is not there: it is not part of the repository")
    return folder


@pytest.fixture(scope="session")
def chromium():
    """Skip the test where nothing can open a page: no selenium, or no Chromium of Debian's."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    for program in ("chromium", "chromedriver"):
        if not Path("/usr/bin", program).exists():
            pytest.skip(f"/usr/bin/{program} is not there (Debian: chromium, chromium-driver)")


@pytest.fixture
def said(capsys, caplog):
    """said(main, arguments): the error with which a command ends, having printed nothing else."""

    def run(main, *arguments):
        caplog.clear()
        with pytest.raises(SystemExit) as end:
            main([*map(str, arguments)])
        assert end.value.code == 1 and capsys.readouterr().out == ""
        assert "Traceback" not in caplog.text
        return caplog.text

    return run


@pytest.fixture
def facts(capsys):
    """facts(arguments): what inspect's --json prints."""
    from labelmer import inspection

    def run(*arguments):
        inspection.main([*map(str, arguments), "--json"])
        return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)

    return run


@pytest.fixture(scope="session")
def nemo():
    """The folder of the real corpus nemo-mini."""
    return beside("data", "nemo-mini")


@pytest.fixture(scope="session")
def whisper():
    """The folder of the real Whisper encoder."""
    return beside("models", "whisper-tiny.en-encoder")


def break_disk(monkeypatch):
    """From now on what preadv reads, as audio, cannot be read."""

    def fails(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", fails)
