# Two commands are enough: `make demo` and `make test`. Both set up .venv in this folder first.
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := brain,evaluation,train,dev

.PHONY: demo test check results clean

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	touch $@

demo: .venv/installed
	$(BIN)/itermask demo demo-output

test: .venv/installed
	$(BIN)/python -m pytest

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv demo-output
