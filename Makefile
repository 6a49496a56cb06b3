# make demo    installs, speaks the demo corpus, runs the whole workflow, prints the table
# make evidence  the same with every variant and three seeds, and with scenarios apart, as
#              docs/method.md reports it
# make test    installs, runs every test
# make test-quick  those that take seconds
# make test-slurm  runs the demo on a Slurm of its own; as root, with Debian's slurm-wlm, slurmdbd,
#              munge and mariadb-server
# make lint    ruff, ruff format, mypy, snakefmt, snakemake --lint
# make bench   prints the ratios of the benchmarks that take minutes; others in bench/ take hours
# make site    builds the documentation as a site, site/index.html
# make lock    writes requirements.lock and envs/labelmer.yaml anew; needs `pip install uv`
# make licences  writes the table of docs/licences.md anew; needs `pip install uv`

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
export PATH := $(CURDIR)/$(BIN):$(PATH)

PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

SNAKEMAKE := PYTHONPATH=workflow/logger:$$PYTHONPATH snakemake --logger progress --cores 2 --resources gpu=1

.PHONY: install demo-corpus demo evidence test test-quick test-slurm lint bench site lock licences clean

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'labelmer needs Python 3.11 or newer; make PYTHON=python3.11 ...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo-corpus: install
	$(BIN)/python -m labelmer demo resources/demo

demo: demo-corpus
	@echo "Running the whole workflow on the demo corpus: about 5 minutes on 2 cores."
	$(SNAKEMAKE) --configfile demo.yaml
	$(BIN)/python -m labelmer tabulate --show results/demo/main/reports/compare.tsv
	@echo
	@echo "tables    results/demo/main/reports/*.tsv"
	@echo "figures   results/demo/main/reports/figures/"
	@echo "page      results/demo/main/reports/index.html"

evidence: demo-corpus
	$(SNAKEMAKE) --configfile demo.yaml evidence.yaml
	$(SNAKEMAKE) --configfile demo.yaml evidence.yaml evidence-apart.yaml
	$(BIN)/python -m labelmer tabulate --show results/demo/evidence/reports/compare.tsv
	$(BIN)/python -m labelmer tabulate --show results/demo/evidence-apart/reports/compare.tsv

test: install
	$(PYTEST)

test-quick: install
	$(PYTEST) -m "not slow and not slurm"

test-slurm: demo-corpus
	$(BIN)/python -m pytest -m slurm -rs

lint: demo-corpus
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --configfile demo.yaml --lint

bench: install
	$(BIN)/python bench/workflow.py
	$(BIN)/python bench/store.py
	$(BIN)/python bench/extract.py
	$(BIN)/python bench/train.py
	$(BIN)/python bench/page.py
	$(BIN)/python bench/predict.py
	$(BIN)/python bench/retrieval.py

site: install
	$(BIN)/mkdocs build --quiet

lock:
	$(PYTHON) -m uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra workflow --extra demo --extra dev --extra docs --extra slurm --extra video pyproject.toml --output-file requirements.lock
	{ printf '%s\n' '# Made by `make lock` from requirements.lock.' 'name: labelmer' 'channels: [conda-forge, nodefaults]' \
		'dependencies:' '  - python=3.12' '  - pip' '  - pip:'; sed -n 's/^\([^ ].*\) \\$$/    - \1/p' requirements.lock; } > envs/labelmer.yaml

# What other systems alone need is not in $(VENV), and stands beside it for the table.
licences: install
	sed -n "s/ ; .*sys_platform == '\(win32\|emscripten\)'.*//p" requirements.lock \
		| xargs $(PYTHON) -m uv pip install --quiet --no-deps --python-version 3.12 --target build/elsewhere
	{ sed '/^|/,$$d' docs/licences.md; \
		PYTHONPATH=build/elsewhere:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
		$(PYTHON) -m uv tool run pip-licenses --from=mixed --with-system --format=markdown \
		--packages $$(sed -n 's/^\([^ ]*\)==.*/\1/p' requirements.lock); } > build/licences.md
	mv build/licences.md docs/licences.md

clean:
	rm -rf $(VENV) .snakemake
