# Everything is set up by these targets: all it takes is Python 3.11 or newer with pip, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEMO_DB ?= sqlite:///demo.db
PYTEST_ARGS ?= -q -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-oldest check format bench clean

help:
	@echo "make demo    record calls to a stand-in provider, then show the trail and the reports"
	@echo "make test    run all tests, with branch coverage"
	@echo "make test-oldest   run the tests of the clients with the oldest SDKs that are supported"
	@echo "make check   ruff, mypy --strict, import-linter"
	@echo "make format  format the code"
	@echo "make bench   run the benchmarks; what they measured is in .bench/results"
	@echo "make clean   remove what these made"

demo: $(VENV)/.installed
	$(BIN)/auditmw demo --db $(DEMO_DB)

test: $(VENV)/.installed-dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Everything else runs with the newest SDKs: see constraints.txt.
test-oldest: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/oldest \
		$$(sed -nE 's/^(anthropic|openai) = .*>=([0-9.]+).*/\1==\2/p' pyproject.toml)
	PYTHONPATH=$(VENV)/oldest $(BIN)/python -m pytest $(PYTEST_ARGS) tests/clients

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed-dev
	@for benchmark in benchmarks/bench_*.py; do \
		echo "== $$benchmark"; \
		$(BIN)/python $$benchmark --json .bench/results/$$(basename $$benchmark .py).json || exit 1; \
	done

clean:
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	rm -rf demo.db demo.db-shm demo.db-wal demo.db.auditmw

# Some systems ship Python without ensurepip: then the system's own pip puts one into the environment.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "auditmw needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
		$(PYTHON) -m venv --clear --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check pip; }

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable '.[all]'
	$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable '.[dev]'
	$(BIN)/python -m compileall -q src
	@touch $@ $(VENV)/.installed
