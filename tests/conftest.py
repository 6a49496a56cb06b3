"""What several test files share: a copy of the repository to run, and what lies beside it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared"


class Workspace:
    """A copy of the repository's code in a folder of its own, where the workflow is run."""

    def __init__(self, folder):
        self.folder = Path(folder)
        for name in ("labelmer", "workflow", "envs"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, self.folder / name, ignore=ignore)
        for name in ("Snakefile", "config.yaml", "demo.yaml"):
            shutil.copy(REPOSITORY / name, self.folder / name)

    def copied(self, folder):
        """A copy of it, with all its results, in a folder that is not there yet."""
        made = Workspace.__new__(Workspace)
        made.folder = Path(shutil.copytree(self.folder, folder))
        return made

    def configure(self, config):
        """Write the config that snakemake() uses."""
        (self.folder / "test.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def config(self):
        """The config as it stands."""
        return yaml.safe_load((self.folder / "test.yaml").read_text())

    def snakemake(self, *arguments, config="test.yaml", gpu=True, check=True, cores=2):
        """Run the workflow; return its exit status and its output."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = ["snakemake", *arguments, "--configfile", config, "--cores", str(cores)]
        if gpu:
            command += ["--resources", "gpu=1"]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
        )
        output = done.stdout + done.stderr
        assert not check or done.returncode == 0, output
        return done.returncode, output

    def jobs(self, *targets, **options):
        """What a dry run would do: a set of (rule, first output file), without `all`."""
        _, output = self.snakemake(*targets, "--dry-run", **options)
        found = re.findall(
            r"^(?:local)?(?:rule|checkpoint) (\w+):\n(?:    .*\n)*?    output: (\S+)", output, re.M
        )
        return {(rule, path.rstrip(",")) for rule, path in found}


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
def nemo():
    """The folder of the real corpus nemo-mini."""
    return beside("data", "nemo-mini")


@pytest.fixture(scope="session")
def whisper():
    """The folder of the real Whisper encoder."""
    return beside("models", "whisper-tiny.en-encoder")
