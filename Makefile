# Two commands are enough: `make demo` and `make test`. Both set up .venv in this folder first.
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := artifacts,brain,evaluation,train,dev

.PHONY: demo test check results ablations clean

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

# The tables of docs/results.md; DATA is the folder with ixi-t1, oasis-t1 and lesion-shapes.
DATA ?= ../shared/data
SHAPES := $(DATA)/lesion-shapes/tumour_shapes.npz

results: .venv/installed
	$(BIN)/python scripts/ixi_table.py $(DATA)/ixi-t1 runs/ixi
	$(BIN)/python benchmarks/t1w_results.py --table runs/ixi/table.tsv --shapes $(SHAPES) \
	    --oasis $(DATA)/oasis-t1 --out runs/t1w-results --write docs/results.md

ablations: .venv/installed
	$(BIN)/python benchmarks/ablations.py --table runs/ixi/table.tsv --shapes $(SHAPES) \
	    --out runs/ablations --write docs/results.md

clean:
	rm -rf .venv demo-output
