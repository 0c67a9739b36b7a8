# `make run` and `make test` set themselves up: they need only make, python3 (3.11 or newer) and the network.
# PYTHON=python3.12 chooses the interpreter, ARGS="..." is handed on: make test ARGS="-k portfolio".

PY := .venv/bin/python
ARGS ?=
say = @echo "==> $(1)"

# pip and matplotlib want a home; a bare container may have none.
ifeq ($(strip $(HOME)),)
export HOME := $(CURDIR)/.venv/home
endif

# The stamp holds the directory it was made in: a copied or moved checkout, or a Python that went away
# (then -c pass has something to say), needs a new set-up.
ifneq ($(shell test -x $(PY) && $(PY) -c pass 2>&1 && cat .venv/.core),$(CURDIR))
.PHONY: .venv/.core
endif

.PHONY: help setup run test test-slow lint bench docs-check lock clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 14

.venv/.core: requirements.lock pyproject.toml
	$(call say,Setting up .venv (once))
	@sh deploy/venv.sh create .venv
	@mkdir -p .venv/home && chmod 700 .venv/home
	$(call say,Installing the libraries of requirements.lock)
	@sh deploy/venv.sh install .venv --require-hashes -r requirements.lock
	@sh deploy/venv.sh install .venv --no-deps --no-build-isolation -e .
	@printf '%s' "$(CURDIR)" > .venv/.core

.venv/.dev: .venv/.core requirements-dev.lock
	$(call say,Installing the tools for tests of requirements-dev.lock)
	@sh deploy/venv.sh install .venv --require-hashes -r requirements-dev.lock
	@touch .venv/.dev

setup: .venv/.dev  ## Make .venv with everything that development needs

run: .venv/.core  ## Run the example: real daily bars, a paper broker, no keys
	$(call say,Running backend/run_strategy_example.py)
	@$(PY) backend/run_strategy_example.py $(ARGS)

test: .venv/.dev  ## Run the tests, in parallel and in random order
	$(call say,Running the tests)
	@$(PY) -m pytest -n auto -m "not slow" $(ARGS)

test-slow: .venv/.dev  ## Run the tests that take minutes
	$(call say,Running the slow tests)
	@$(PY) -m pytest -n auto -m slow tests/faults/simulation $(ARGS)
	@$(PY) -m pytest -m slow --ignore=tests/faults/simulation $(ARGS)

lint: .venv/.dev  ## Check style, format and types
	$(call say,ruff check)
	@$(PY) -m ruff check .
	$(call say,ruff format --check)
	@$(PY) -m ruff format --check .
	$(call say,mypy)
	@$(PY) -m mypy

bench: .venv/.dev  ## Measure speed and memory
	$(call say,Running the benchmarks)
	@$(PY) benchmarks/run.py $(ARGS)

docs-check: .venv/.dev  ## Run every snippet of the guides
	$(call say,Running the snippets of the documents)
	@$(PY) -m pytest tests/docs $(ARGS)

# UPGRADE=--upgrade takes the newest versions; without it the pins stay as far as pyproject.toml allows.
COMPILE = uv pip compile pyproject.toml --group build --quiet --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(UPGRADE)
lock:  ## Write the hashed locks anew (the only target that needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv on the PATH: see docs.astral.sh/uv." >&2; exit 1; }
	$(call say,Compiling requirements.lock)
	@$(COMPILE) -o requirements.lock
	$(call say,Compiling requirements-dev.lock)
	@$(COMPILE) --extra dev --extra parquet --extra postgres -c requirements.lock -o requirements-dev.lock

clean:  ## Remove .venv and everything that was built; databases and reports stay
	$(call say,Removing .venv and build leftovers)
	@rm -rf .venv build dist backend/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find backend tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
