# Every chore is one word. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 2006
CORES := -n logical --maxprocesses=4 --dist=loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo ranking test fmt lint types imports promises tests test-postgres kodi bench load campaign-year campaign-billing campaign-agent mutants-billing audit-privacy linkage mutants-privacy fuzz-agent mutants-agent mutants-nodes box pictures words locks clean

help: ## list the chores
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(BIN)/.sim: locks/sim.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what the demo needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/sim.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/.dev: locks/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what the tests need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(BIN)/.sim

demo: $(BIN)/.sim ## bill a town's orders and publish its genre popularity
	@$(BIN)/stb-sim demo --seed $(SEED)

ranking: $(BIN)/.sim ## top three genres above bottom three, over 100 seeds, without HTTP
	@$(BIN)/stb-sim ranking --seeds 100

test: lint types imports tests ## everything that CI runs

fmt: $(BIN)/.dev ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet .

lint: $(BIN)/.dev ## style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(BIN)/.dev ## mypy, strict
	@$(BIN)/mypy

imports: $(BIN)/.dev ## the import contracts that carry the promise
	@$(BIN)/lint-imports

tests: $(BIN)/.dev ## the test suite
	@$(BIN)/pytest $(CORES)

test-postgres: $(BIN)/.dev ## the test suite with every database on a real PostgreSQL
	@TEST_ENGINE=postgresql $(BIN)/pytest $(CORES)

promises: $(BIN)/.dev ## what a regulator is shown
	@$(BIN)/pytest -m promise -v

kodi: $(BIN)/.dev ## ten minutes before a real Kodi: what the agent says beside what was played
	@$(BIN)/python -m tests.kodi

bench: $(BIN)/.dev ## speed and memory, as ratios against a yardstick in the same run
	@$(BIN)/python -m benchmarks.export
	@$(BIN)/python -m benchmarks.month
	@$(BIN)/python -m benchmarks.gateway
	@$(BIN)/python -m benchmarks.obvious
	@$(BIN)/python -m benchmarks.boxweek
	@$(BIN)/python -m benchmarks.release
	@$(BIN)/python -m benchmarks.boxweight
	@$(BIN)/python -m benchmarks.peers
	@$(BIN)/python -m benchmarks.console
	@$(BIN)/python -m benchmarks.growth
	@$(BIN)/python -m benchmarks.nodes

load: $(BIN)/.dev ## a real headend to saturation and beyond, an evening, a storm; LOAD_SECONDS, LOAD_STORM_BOXES
	@$(BIN)/python -m tests.load

campaign-year: $(BIN)/.dev ## a year of a town with every fault on, then its books gone over, erasures included
	@$(BIN)/python -m tests.campaigns.year

campaign-billing: $(BIN)/.dev ## billing's random life, long, and kill -9 at every write point
	@CAMPAIGN_EXAMPLES=300 CAMPAIGN_STEPS=60 $(BIN)/pytest -q tests/headend/billing/test_machine.py
	@$(BIN)/python -m tests.campaigns.kill

campaign-agent: $(BIN)/.dev ## kill -9 of a box at every write point and at any moment, with an honest and with a lying clock
	@$(BIN)/python -m tests.campaigns.kill --life agent --life agent-lying --moments 1000

mutants-billing: $(BIN)/.dev ## plant known bugs in a copy: the tests have to catch each
	@$(BIN)/python -m tests.mutants.billing

audit-privacy: $(BIN)/.dev ## noise, sensitivity, coverage, ranking and error of the anonymous figures, at length
	@$(BIN)/python -m tests.audit

linkage: $(BIN)/.dev ## an adversary with every key tries to link a week's fragments
	@$(BIN)/python -m tests.linkage

mutants-privacy: $(BIN)/.dev ## take checks of the anonymous path away: the tests have to fail
	@$(BIN)/python -m tests.mutants.privacy

fuzz-agent: $(BIN)/.dev ## random input for the agent's doors, ten minutes each; FUZZ_SECONDS, FUZZ_SEED
	@$(BIN)/python -m tests.fuzz

mutants-nodes: $(BIN)/.dev ## plant bugs of several nodes and of restoring: the tests have to catch each
	@$(BIN)/python -m tests.mutants.nodes

mutants-agent: $(BIN)/.dev ## plant bugs in the agent's doors: the fuzzer has to find each
	@$(BIN)/python -m tests.mutants.agent

box: ## the box's Debian package in dist/; VENDOR=1 with what it imports
	@$(PYTHON) deploy/box/package.py --out dist --python $(PYTHON) $(if $(VENDOR),--vendor)

pictures: $(BIN)/.dev ## pictures of the console for its documentation
	@$(BIN)/python -m tests.pictures

words: $(BIN)/.dev ## bring the translations in step with what the code says
	@$(BIN)/python -m tests.words

locks: ## pin every dependency with its hashes, from pyproject.toml
	@for set in box headend,release,documents,postgres sim dev; do \
	  uv pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header \
	    --python-version 3.11 $$(echo ",$$set" | sed 's/,/ --extra /g') pyproject.toml locks/build.in \
	    -o locks/$${set%%,*}.txt || exit 1; done

clean: ## remove what the chores made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-out
