# make demo: play in the browser.  make test: lint and all tests.  PYTHON=python3.12 chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: help demo test lint browser clean

help:
	@echo "make demo    install what is needed into $(VENV) and play in the browser"
	@echo "make test    install the development tools too, then lint and run all tests"
	@echo "make lint    ruff only;  make clean    remove $(VENV)"

demo: $(VENV)/demo.stamp
	$(BIN)/python -m mgdemo app

test: lint browser
	$(BIN)/python -m pytest

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The browser tests drive Debian's chromium, or the one at $CHROMIUM.
browser:
	@test -n "$$CHROMIUM" || command -v chromium >/dev/null || .ci/install-chromium

$(VENV)/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; \
	choose one with: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/demo.stamp: requirements.txt $(VENV)/venv.stamp
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/test.stamp: requirements-dev.txt $(VENV)/demo.stamp
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV)
