# make demo: play in the browser.  make check: what one runs while at work.  make test: everything.
# PYTHON=python3.12 chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# The tested versions: by the option for pip as old as Python's own, by the variable for what pip builds.
PIP = PIP_CONSTRAINT="constraints.txt $$PIP_CONSTRAINT" $(BIN)/python -m pip install --quiet -c constraints.txt

.PHONY: help demo test test-gpu check lint types browser clean

help:
	@echo "make demo    install what is needed into $(VENV) and play in the browser"
	@echo "make check   lint and the tests that need no browser, worker or whole model (90 s)"
	@echo "make test    install the development tools too, then lint and run all tests"
	@echo "make test-gpu   the kernels, graphs and parity on a real NVIDIA GPU"
	@echo "make lint    ruff and the type checkers;  make clean    remove $(VENV)"

demo: $(VENV)/demo.stamp
	$(BIN)/python -m mgdemo app

# What computes has a core for each process; what is live waits a lot, so that three share two cores.
test: lint browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not (browser or live)"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal -m "browser or live"

# On a machine with an NVIDIA GPU; it needs no browser, and elsewhere: python -m pytest -m gpu tests/gpu
test-gpu: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m gpu tests/gpu

check: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not (browser or live or model)"

lint: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test.stamp
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	@devtools/check-js

# The browser tests drive Debian's chromium, or the one at $CHROMIUM.
browser:
	@test -n "$$CHROMIUM" || command -v chromium >/dev/null || .ci/install-chromium

# virtualenv does as well where Python has no venv of its own (Debian's package python3-venv).
$(VENV)/venv.stamp:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or newer, or name it \
	with: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; \
	choose one with: make demo PYTHON=python3.12")'
	@mkdir -p $(VENV) 2>/dev/null && test -w $(VENV) || { echo "This folder cannot be written: name another place \
	for the environment, without spaces, with: make demo VENV=/tmp/venv-mgdemo"; exit 1; }
	@echo "Making $(VENV) …"; $(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv --quiet $(VENV) || { \
	rm -rf $(VENV); echo "This Python cannot make an environment. On Debian and Ubuntu: sudo apt install \
	python3-venv; elsewhere: $(PYTHON) -m pip install virtualenv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/demo.stamp: requirements.txt constraints.txt $(VENV)/venv.stamp
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/test.stamp: requirements-dev.txt $(VENV)/demo.stamp
	$(PIP) -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV)
