"""How long Snakemake takes to say what it would do, on a large design.

The design: 5 sessions x 5 groups of scenarios x 3 seeds x 11 networks, 825 trainings, on a tiny
corpus in IEMOCAP's layout, of which nothing has run yet, so that every job is listed; and the same
with its folds made. The plain way beside it: a dry run of a workflow of one rule. Prints a table
and, as its last line, one JSON object.

    python bench/workflow.py [--tiny]
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from corpora import turns_of, write_release  # noqa: E402

from labelmer.config.entries import kind_of  # noqa: E402

RUNS = 3
DESIGN = {"networks": 11, "groups": 5, "seeds": 3}
TINY = {"networks": 1, "groups": 3, "seeds": 1}
PLAIN = 'rule all:\n    output: "done"\n    shell: "touch {output}"\n'


def large_config(networks, groups, seeds):
    """demo.yaml with scenarios apart: so many networks of config.yaml, groups and seeds."""
    config, shipped = (
        yaml.safe_load((REPOSITORY / name).read_text()) for name in ("demo.yaml", "config.yaml")
    )
    config["corpus"] = {"name": "large", "reader": "iemocap", "root": "corpus"}
    config["folds"].update(scenarios="apart", scenario_groups=groups)
    config["variants"] = shipped["variants"]
    names = [name for name in shipped["variants"] if kind_of(config, name) == "network"]
    config["experiments"][0]["variants"] = names[:networks]
    config["seeds"] = list(range(1, seeds + 1))
    return config


def snakemake(folder, *arguments):
    """What Snakemake prints in a folder."""
    command = [str(Path(sys.executable).parent / "snakemake"), *arguments, "--cores", "2"]
    if (folder / "large.yaml").exists():
        command += ["--configfile", "large.yaml"]
    # The Python of the jobs is this one, and labelmer the copy in the folder.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def dry_run(folder, runs):
    """Seconds of `snakemake -n` (median of the runs), and what it printed last."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        said = snakemake(folder, "-n")
        taken.append(time.perf_counter() - start)
    return statistics.median(taken), said


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    runs, design = (1, TINY) if parser.parse_args().tiny else (RUNS, DESIGN)
    trainings = 5 * math.prod(design.values())
    with tempfile.TemporaryDirectory() as place:
        plain, large = Path(place) / "plain", Path(place) / "large"
        plain.mkdir()
        (plain / "Snakefile").write_text(PLAIN)
        for name in ("labelmer", "workflow", "envs"):
            shutil.copytree(REPOSITORY / name, large / name)
        shutil.copy(REPOSITORY / "Snakefile", large)
        write_release(large / "corpus", turns_of(sessions=5, dialogues=5))
        (large / "large.yaml").write_text(yaml.safe_dump(large_config(**design), sort_keys=False))
        seconds = {"one rule": dry_run(plain, runs), f"{trainings} trainings": dry_run(large, runs)}
        snakemake(large, "split")
        seconds["with the folds made"] = dry_run(large, runs)
    print(f"{'dry run of':20} {'jobs':>5} {'seconds':>8}")
    for name, (taken, output) in seconds.items():
        jobs = next(line.split()[1] for line in output.splitlines() if line.startswith("total"))
        print(f"{name:20} {jobs:>5} {taken:8.2f}")
    one, many, after = (taken for taken, _ in seconds.values())
    result = {"dry_run_seconds": round(many, 2), "dry_run_vs_one_rule": round(many / one, 2)}
    print(json.dumps({**result, "dry_run_with_folds_seconds": round(after, 2)}))


if __name__ == "__main__":
    main()
