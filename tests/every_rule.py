"""The rules of the workflow, each with a job of it that has run in one of the tests' workspaces.

Whoever uses the fixture `jobs` imports the fixtures of those workspaces too.
"""

import csv
import io
import re
import subprocess
from dataclasses import dataclass, field

import pytest
from conftest import REPOSITORY, Workspace, made_once
from test_reruns import configure

TEXT = "".join(path.read_text() for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
RULES = set(re.findall(r"^ *rule (\w+):", TEXT, re.M))  # each with a shell command of its own
SAME = {name: as_of for as_of, name in re.findall(r"^use rule (\w+) as (\w+) with:", TEXT, re.M)}


@dataclass
class Job:
    """A job of a rule: the workspace that it ran in, its shell command, its inputs and outputs."""

    workspace: Workspace
    command: str
    inputs: list[str]
    outputs: list[str] = field(default_factory=list)

    def arguments(self):
        """The verb of `labelmer`, and its arguments, as the shell gives them."""
        script = f"python() {{ printf '%s\\0' \"$@\"; }}\n{self.command}"
        told = ["bash", "-c", script]
        done = subprocess.run(told, cwd=self.workspace.folder, capture_output=True, check=True)
        _, _, verb, *arguments = done.stdout.decode().split("\0")[:-1]
        return verb, arguments


def jobs_of(workspace):
    """{rule: Job} of all that have run in a workspace."""
    _, output = workspace.snakemake("--detailed-summary")
    found = {}
    for row in csv.DictReader(io.StringIO(output[output.index("output_file\t") :]), delimiter="\t"):
        job = found.setdefault(
            row["rule"], Job(workspace, row["shellcmd"], row["input-file(s)"].split(","))
        )
        if row["shellcmd"] == job.command:
            job.outputs.append(row["output_file"])
    return found


@pytest.fixture(scope="session")
def weighed(tmp_path_factory, finished):
    """The finished workspace, with rationales."""

    def make(folder):
        workspace = finished.copied(folder)
        ids = sorted(
            path.stem for path in (folder / "corpus/Session1/sentences/wav").rglob("*.wav")
        )
        rows = ["id\tmodality\tstart\tend", *(f"{name}\tspeech\t0\t0.05" for name in ids)]
        (folder / "rationales.tsv").write_text("\n".join(rows) + "\n")
        configure(workspace, corpus={"rationales": "rationales.tsv"})
        workspace.snakemake("results/tiny/main/reports/salience.tsv")

    return made_once(tmp_path_factory, "weighed", make)


@pytest.fixture(scope="session")
def jobs(weighed, crossed, finetuned, transcribed):
    """{rule: Job} for each of RULES, and for figures."""
    found = {}
    for workspace in (weighed, crossed, finetuned, transcribed):
        for rule, job in jobs_of(workspace).items():
            if job.command == "-":  # it has not run
                continue
            while rule in SAME:
                rule = SAME[rule]
            found.setdefault(rule, job)
    assert not RULES - set(found), RULES - set(found)
    return found
