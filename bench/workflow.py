"""How long Snakemake takes to say what it would do, on a large design.

The design: 5 folds x 3 seeds x 5 variants x 2 experiments on a tiny corpus in IEMOCAP's layout, of
which nothing has run yet, so that every job is listed. The plain way beside it: a dry run of a
workflow of one rule. Prints a table and, as its last line, one JSON object.

    python bench/workflow.py [--tiny]
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from corpora import turns_of, write_release  # noqa: E402

RUNS = 3
PLAIN = 'rule all:\n    output: "done"\n    shell: "touch {output}"\n'


def large_config():
    """demo.yaml with two experiments of five variants and three seeds."""
    config = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
    config["corpus"] = {"name": "large", "reader": "iemocap", "root": "corpus"}
    config["encoders"]["minilm-6"] = {**config["encoders"]["minilm"], "layer": 6}
    first = config["experiments"][0]
    first["variants"] = ["full", "additive", "late-fusion", "speech-only", "text-only"]
    config["experiments"].append({**first, "text": "minilm-6"})
    config["seeds"] = [1, 2, 3]
    return config


def dry_run(folder, runs):
    """Seconds of `snakemake -n` (median of the runs), and what it printed last."""
    command = [str(Path(sys.executable).parent / "snakemake"), "-n", "--cores", "2"]
    if (folder / "large.yaml").exists():
        command += ["--configfile", "large.yaml"]
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken), done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    runs = 1 if parser.parse_args().tiny else RUNS
    with tempfile.TemporaryDirectory() as place:
        plain, large = Path(place) / "plain", Path(place) / "large"
        plain.mkdir()
        (plain / "Snakefile").write_text(PLAIN)
        for name in ("labelmer", "workflow", "envs"):
            shutil.copytree(REPOSITORY / name, large / name)
        shutil.copy(REPOSITORY / "Snakefile", large)
        write_release(large / "corpus", turns_of(sessions=5), audio="silence")
        (large / "large.yaml").write_text(yaml.safe_dump(large_config(), sort_keys=False))
        seconds = {"one rule": dry_run(plain, runs), "5 x 3 x 5 x 2 runs": dry_run(large, runs)}
    print(f"{'dry run of':20} {'jobs':>5} {'seconds':>8}")
    for name, (taken, output) in seconds.items():
        jobs = next(line.split()[1] for line in output.splitlines() if line.startswith("total"))
        print(f"{name:20} {jobs:>5} {taken:8.2f}")
    (one, _), (many, _) = seconds.values()
    print(
        json.dumps({"dry_run_seconds": round(many, 2), "dry_run_vs_one_rule": round(many / one, 2)})
    )


if __name__ == "__main__":
    main()
