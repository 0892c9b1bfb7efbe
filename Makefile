# Two commands, nothing else to know: `make demo` and `make test`. Both set up what they need in this folder.

PYTHON ?= python3.11
BIN := .venv/bin
export COMPRESS_HOME ?= $(CURDIR)/.compress
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check format setup clean

demo: setup  ## Run pipelines/quickstart.yaml from teacher to verdict.
	@$(BIN)/compress run pipelines/quickstart.yaml

test: setup  ## Pass all tests.
	@$(BIN)/compress doctor --install
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

check: setup  ## Format, lint, types, import contracts.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup  ## Put every file into its format.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

setup: .venv/complete  ## Make .venv from the pinned versions.

# torch comes first and alone, so that pip takes its CPU build where an index offers one; everything else is pinned.
.venv/complete: constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; install Python 3.11 or set PYTHON=" >&2; exit 4; }
	@echo "Setting up .venv (about two minutes the first time)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || \
		{ rm -rf .venv; echo "make: no virtual environment; install python3.11-venv" >&2; exit 4; }
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:  ## Remove everything that `make` made, the trained models too.
	rm -rf .venv .compress
