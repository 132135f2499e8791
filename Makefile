.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO_OUT ?= demo
# Compiled files are kept, whatever the shell says: tests start many processes. Values of failed
# assertions are shown when what failed is run again; to prepare all for that takes 15 seconds.
# Three processes keep two processors busy: some tests wait for processes of their own.
# Memory of arrays that are gone is kept for the next: to give it back to the system and to ask for
# it again, page by page, is half of the system's time (glibc; others pass these over).
KEEP := MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=536870912 MALLOC_TOP_PAD_=16777216
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(KEEP) $(BIN)/python -m pytest

.PHONY: help setup demo test browser cases coverage mutants mutation check format bench scoreboard docs clean

help: ## show what make can do
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## make .venv and install voxplain with everything for development

$(READY): pyproject.toml constraints.txt
	@echo "Setting up .venv (about a minute the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	@touch $@

demo: $(READY) ## run the main job on a phantom cohort; results in demo/ (3 to 7 minutes)
	@$(BIN)/voxplain demo --out $(DEMO_OUT)

test: $(READY) browser ## run the tests
	@$(PYTEST) -n 3 --dist loadgroup --assert=plain || \
		{ $(PYTEST) --last-failed --last-failed-no-failures none; exit 1; }

browser: # what tests of pages need; they are skipped where it cannot be had
	@command -v chromium >/dev/null || (apt-get update && apt-get install -y chromium) >/dev/null 2>&1 \
		|| echo "No chromium here: tests of pages in a browser are skipped."

cases: $(READY) ## run the tests made after public problem reports (part of make test)
	@$(PYTEST) -n 2 tests/cases

coverage: $(READY) ## run the tests and name what none reaches and tests/uncovered.tsv does not excuse
	@$(PYTEST) -n 3 --dist loadgroup --assert=plain \
		--cov --cov-report=term-missing:skip-covered --cov-report=html --cov-report=json:.coverage.json
	@$(BIN)/python tests/uncovered.py .coverage.json

mutants: $(READY) ## plant each mutant of tests/mutants and see whether its tests fail (hours)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/mutants/run.py --jobs 2

mutation: $(READY) ## plant faults into a clean study and see whether the verdict names each (an hour)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.mutation

check: $(READY) ## formatting, lint, types and import contracts
	@$(BIN)/ruff format --check src tests benchmarks docs
	@$(BIN)/ruff check src tests benchmarks docs
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

format: $(READY) ## format the code and mend what lint can mend
	@$(BIN)/ruff format src tests benchmarks docs
	@$(BIN)/ruff check --fix src tests benchmarks docs

bench: $(READY) ## time voxplain against its peers on this machine (about 45 minutes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers.txt
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.group

scoreboard: $(READY) ## which method finds what, on phantoms of known truth (nights; --part, see the file)
	@$(BIN)/python -m benchmarks.scoreboard

docs: $(READY) ## build the site into docs/_build, warnings are errors
	@$(BIN)/python -m docs.build
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "Written: docs/_build/index.html"

clean: ## remove .venv, caches and the demo's results
	rm -rf .venv $(DEMO_OUT) docs/_build docs/api .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
