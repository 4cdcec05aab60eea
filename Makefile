# Two commands do everything on a machine with Python >= 3.11 (pip, venv), git and make: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --generate-hashes pyproject.toml

.PHONY: setup demo test test-oldest check lint types imports lock clean

setup: $(VENV)/.installed

$(VENV)/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit("microdelay needs Python >= 3.11, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirements requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@ $(VENV)/.installed-demo

# A tenth of what the tests and benchmarks need.
$(VENV)/.installed-demo: requirements-demo.lock pyproject.toml | $(VENV)/bin/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirements requirements-demo.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: $(VENV)/.installed-demo
	$(BIN)/python examples/demo.py

# Two at a time, each file in one process: what a file's tests share is made once.
TOGETHER := --numprocesses 2 --dist loadfile

test: setup
	$(BIN)/python -m pytest $(TOGETHER)

# The probes with the oldest version of each library that pyproject.toml allows.
$(OLDEST)/.installed: requirements-oldest.lock | $(VENV)/bin/uv
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python --requirements requirements-oldest.lock
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python --no-deps --editable .
	touch $@

test-oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest $(TOGETHER) tests/record

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

check: lint types imports test

lock: | $(VENV)/bin/uv
	$(LOCK) --group dev --output-file requirements.lock
	$(LOCK) --group demo --output-file requirements-demo.lock
	$(LOCK) --group dev --resolution lowest-direct --output-file requirements-oldest.lock

clean:
	rm -rf $(VENV) $(OLDEST) build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
