# Everything here works from a bare clone with Python 3.11 or newer and pip.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help quickstart test check base-model proof-kills

help:
	@echo "make quickstart   install into .venv, then train, measure and compare on the embedded model"
	@echo "make test         install with the tools of development, then run every check"
	@echo "make check        the checks alone: lint, format, types, import contract, tests"
	@echo "make proof-kills  kill training at 36 random instants and compare each adapter (a few minutes)"
	@echo "make base-model   rebuild the embedded base model from its seed (about two hours on two cores)"

quickstart: .venv/train-installed
	$(BIN)/tunelab quickstart

test: .venv/dev-installed
	@$(MAKE) --no-print-directory check

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n $(WORKERS)

base-model: .venv/train-installed
	$(BIN)/python -m tunelab.starter.build --out src/tunelab/starter/nano

proof-kills: .venv/train-installed
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python benchmarks/kills.py

$(BIN)/python:
	$(PYTHON) -m venv .venv

# One pip call each, always with the constraints: a torch asked for without them is several gigabytes of CUDA.
.venv/train-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[train]"
	@touch $@

.venv/dev-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[train,dev]"
	@touch $@ .venv/train-installed
