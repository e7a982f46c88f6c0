# Needs Python 3.11 or later, make and a C compiler; everything else goes into .venv.
PYTHON ?= python3
RUN := .venv/bin
READY := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install test lint types contracts format demo pictures bench soak e2e clean

help: ## Show what can be done here
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(READY) ## Create .venv and install the program with all that its tests need

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	test -x $(RUN)/python || $(PYTHON) -m venv .venv
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

test: lint types contracts ## Prove everything: lint, types, contracts and the tests
	$(RUN)/python -m pytest -n 3 --maxschedchunk 2 # one more than two cores: some tests wait for other processes

lint: $(READY) ## Check style and formatting
	$(RUN)/ruff check
	$(RUN)/ruff format --check

types: $(READY) ## Check the types
	$(RUN)/mypy

contracts: $(READY) ## Check who may import whom
	$(RUN)/lint-imports

format: $(READY) ## Put imports and formatting in order
	$(RUN)/ruff check --select I --fix
	$(RUN)/ruff format

demo: $(READY) ## Live through some months with sample boxes, on this machine only
	$(RUN)/python -m tests.demo

pictures: $(READY) ## Draw the pictures of the README anew; needs Debian's chromium
	$(RUN)/python -m tests.demo.pictures

bench: $(READY) ## Measure everything, for hours; a part of it: make bench BENCH="--boxes 100000 --parts day"
	$(RUN)/python -m tests.bench.suite $(BENCH)

soak: $(READY) ## The long tests: kill the program again and again, and compare
	$(RUN)/python -m pytest -m soak
	TESTS_EXAMPLES=200 $(RUN)/python -m pytest -n 2 tests/properties

e2e: $(READY) ## Mail as receivers see it and the console in a browser; needs Debian's spamassassin, tidy, postfix and chromium
	$(RUN)/python -m pytest -m "" -s tests/e2e

clean: ## Remove what was made here, .venv included
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find lifecycle_jobs tests -name __pycache__ -type d -prune -exec rm -rf {} +
