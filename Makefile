# Two commands do everything: `make demo` runs the main job, `make test` the tests.
# Each makes .venv with the locked versions first, if it is missing or older than the lock.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
PYTEST := python -m pytest -n auto --maxprocesses 4 --dist loadfile
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONUNBUFFERED := 1

.PHONY: demo test test-slow test-cluster check format clean
.DEFAULT_GOAL := demo

demo: $(READY)
	snakemake

test: $(READY)
	$(PYTEST)

# Kills, statistics over many grids, and other software on the same models.
test-slow: $(READY)
	$(PYTEST) -m slow

# A real Slurm on this machine (as root; installs its packages), and what Kubernetes would be sent.
test-cluster: $(READY)
	python -m pytest -rs --durations=10 -m cluster tests/cluster

check: $(READY)
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint
	$(PYTEST)

format: $(READY)
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

# What the demo and tools left. Experiments of your own, downloads and embedded texts stay.
clean:
	rm -rf results/demo results/toy logs/demo logs/toy build .pytest_cache .ruff_cache .hypothesis

$(READY): requirements.lock pyproject.toml
	@echo "making $(VENV) with the locked versions (a few minutes, once)"
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check --progress-bar on -r requirements.lock
	$(VENV)/bin/python -m pip install --disable-pip-version-check --no-deps --quiet -e .
	@touch $(READY)
