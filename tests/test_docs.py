"""README and docs: their commands do what they say, their links lead somewhere.

A block of shell or Python stands under a comment that says what becomes of it here:

    <!-- run: demo -->      run, line by line, where `make demo` has run (on a tiny corpus)
    <!-- run: tutorial -->  run in a copy of the repository, after the blocks before it
    <!-- write: FILE -->    the file that the blocks after it work on
    <!-- not run: WHY -->   its commands are parsed alone
"""

import argparse
import ast
import importlib
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import yaml
from conftest import REPOSITORY, Workspace, python_of_jobs, tiny_config
from corpora import turns_of, write_release
from snakemake import cli, exceptions
from test_registries import FIGURE, METRIC

from labelmer.__main__ import USAGE, VERBS

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- ([a-z ]+): (.*) -->\n)?^```(.*)\n((?s:.*?))^```$", re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.M)


class Block(NamedTuple):
    """What stands between two fences."""

    mark: str  # empty: there is none
    said: str  # by the mark
    language: str
    content: str


def blocks(page):
    return [Block(*found) for found in BLOCK.findall(page.read_text())]


def marked(mark, said=None):
    """The pages that have blocks with a mark: parameters (page, blocks)."""
    found = {
        page: [b for b in blocks(page) if b.mark == mark and said in (None, b.said)]
        for page in PAGES
    }
    return [pytest.param(page, of, id=page.name) for page, of in found.items() if of]


def commands(block):
    """The command lines of a block of shell, without their comments: lists of words."""
    return [words for line in block.content.splitlines() if (words := shlex.split(line, True))]


class Shell:
    """Runs blocks in a workspace, as who reads them would."""

    def __init__(self, workspace, folder):
        self.workspace = workspace
        (folder / "labelmer").write_text('#!/bin/sh\nexec python -m labelmer "$@"\n')
        (folder / "labelmer").chmod(0o755)
        first = [str(folder), python_of_jobs()]
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([*first, os.environ["PATH"]]),
            "PYTHONPATH": str(workspace.folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def run(self, block):
        """All that a block prints. Each command of it must end well."""
        if block.language == "python":
            return self._process(["python", "-c", block.content])
        said = ""
        for line, words in zip(
            filter(None, block.content.splitlines()), commands(block), strict=True
        ):
            if words == ["make", "demo"]:
                continue  # that is where `run: demo` begins
            if words[0] == "snakemake":
                said += self.workspace.as_given(words[1:])[1]
            else:
                said += self._process(["bash", "-c", line])
        return said

    def _process(self, command):
        done = subprocess.run(
            command,
            cwd=self.workspace.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout


# What needs no corpus


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_code_says_if_it_is_run(page):
    assert page.read_text().count("\n```") == 2 * len(blocks(page))
    for block in blocks(page):
        assert block.language in ("sh", "python", "yaml", "text", "bibtex"), block
        if block.language in ("sh", "python"):
            assert block.mark in ("run", "not run", "write"), block
        assert block.said in ("demo", "tutorial") or block.mark != "run", block


class Parsed(BaseException):
    """A command line was parsed: no more is to be done."""


@pytest.mark.parametrize("page, found", marked("not run"))
def test_what_is_not_run_can_be_parsed(page, found, monkeypatch):
    def parse(parser, *given):
        known(parser, *given)
        raise Parsed

    known = argparse.ArgumentParser.parse_args
    for block in found:
        if block.language == "python":
            compile(block.content, page.name, "exec")
            continue
        for program, *words in commands(block):
            verb = Path(program).name
            if verb == "snakemake":
                cli.get_argument_parser().parse_args(words)
            elif verb == "labelmer":
                module = importlib.import_module(f"labelmer.{VERBS[words[0]][0]}")
                with monkeypatch.context() as patch, pytest.raises(Parsed):
                    patch.setattr(argparse.ArgumentParser, "parse_args", parse)
                    module.main(words[1:])
            else:
                assert program in (".", "make") or verb == "pip", f"{page.name}: {program}"


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith("https:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def sentences():
    """Every string of the code, as in f-strings with {} for what is put in."""
    paths = [*REPOSITORY.glob("labelmer/**/*.py"), *REPOSITORY.glob("workflow/**/*.smk")]
    texts = [path.read_text() for path in paths if "workflow" not in path.parts]
    texts += [inspect.getsource(exceptions)]
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
    yield from (path.read_text() for path in paths if "workflow" in path.parts)


def test_every_verb_stands_apart_from_what_it_does():
    lines = [line.split("  ", 2)[1:] for line in USAGE.splitlines()[2:]]
    assert [(verb, what.strip()) for verb, what in lines] == [(v, w) for v, (_, w) in VERBS.items()]


def test_messages_that_are_explained_are_those_of_the_code():
    page = (REPOSITORY / "docs/troubleshooting.md").read_text()
    explained = re.findall(r"^### `(.*)`$", page, re.M)
    assert len(explained) == page.count("\n### ") > 30
    said = list(sentences())
    for message in set(explained) - {"command not found"}:  # the shell's
        pieces = [re.escape(piece.strip(" ")) for piece in message.split("...")]
        assert any(re.search(".*".join(pieces), text, re.S) for text in said), message


@pytest.mark.parametrize("example", [FIGURE, METRIC], ids=["figure", "metric"])
def test_the_examples_of_a_figure_and_a_metric_are_those_that_are_tested(example):
    assert f"```python\n{example}```" in (REPOSITORY / "docs/extending.md").read_text()


# What is run


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A shell where `make demo` has run, on a tiny corpus, and recordings of one's own lie."""
    workspace = Workspace(tmp_path_factory.mktemp("demo") / "demo")
    folder = workspace.folder
    for path in REPOSITORY.glob("evidence*.yaml"):
        (folder / path.name).write_text(path.read_text())
    write_release(folder / "resources/demo", turns_of())
    config = tiny_config()
    config["corpus"].update(name="demo", root="resources/demo")
    config["experiments"][0]["variants"] = ["full"]
    (folder / "demo.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    workspace.snakemake(config="demo.yaml")
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").touch()
    noise = np.random.default_rng(1).normal(0, 0.1, 32_000)
    for name in ("hello.wav", "goodbye.wav", "talk.mp3"):
        soundfile.write(folder / name, noise, 16_000)
    (folder / "words.tsv").write_text("id\ttext\nhello\tWhat a day.\ngoodbye\tNo more.\n")
    rows = ["id\tstart\tend\tspeaker\ttext", "1\t0\t1\tann\tWhat a day.", "2\t1\t2\tben\tNo more."]
    (folder / "turns.tsv").write_text("\n".join(rows) + "\n")
    return Shell(workspace, tmp_path_factory.mktemp("shell"))


@pytest.mark.slow
@pytest.mark.parametrize("page, found", marked("run", "demo"))
def test_what_is_said_to_be_run_after_the_demo_runs(page, found, demo):
    for block in found:
        demo.run(block)


@pytest.mark.slow
def test_the_tutorial_says_what_is_seen(tmp_path):
    """Digits may differ from one processor to another."""
    workspace, said = Workspace(tmp_path / "tutorial"), ""
    shell = Shell(workspace, tmp_path)
    for block in blocks(REPOSITORY / "docs/tutorial.md"):
        if block.mark == "write":
            (workspace.folder / block.said).write_text(block.content)
        elif block.mark == "run":
            said = {alike(line) for line in shell.run(block).splitlines()}
        elif block.language == "text":
            assert {alike(line) for line in block.content.splitlines()} <= said
    assert (workspace.folder / "results/wav/main/reports/index.html").exists()
    assert "<svg" in Path(workspace.folder / "said.html").read_text()


def alike(line):
    """A line without its digits and the width of its columns."""
    return re.sub(r"\s+", " ", re.sub(r"\d+", "0", line)).strip()


# The site


def test_the_site_is_built_without_a_warning_and_asks_for_no_network(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    pages = {page.name: page.read_text() for page in tmp_path.glob("*.html")}
    assert {page.stem for page in PAGES[1:]} | {"index"} <= {name[:-5] for name in pages}
    for text in pages.values():
        assert not re.search(r"<(script|link|img)[^>]*(src|href)=\"(https?:)?//", text)
    assert pages["method.html"].count('display="block"') > 5 and "Predictor" in pages["python.html"]
