# `make study` sets everything up and runs the main job; `make test` sets everything up and tests it.
# VENV=/some/where puts the virtual environment elsewhere.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
# The pins are complete, so pip resolves nothing. It would look for the newest version of a library that
# another wants with an extra, and refuse it because that version has no pin. `pip check` says what is missing.
PINNED := $(PIP) install --no-deps --require-hashes -r
AT_ONCE := -n 3 --dist loadfile --no-loadscope-reorder  # a third of the time is waiting
SOURCES := pyproject.toml $(shell find capsearch studies -type f -not -path '*/__pycache__/*')
# An environment of the caller's must not change what is installed or found.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
# What failed half-way is made anew.
.DELETE_ON_ERROR:

.PHONY: help venv study test coverage torture lint bench coordination system clean
help:  ## Say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: $(VENV)/installed  ## Set everything up, run nothing

study: $(VENV)/installed  ## Set everything up, then run the IMDB study
	@$(BIN)/capsearch study imdb

test: system lint  ## Set everything up, then check style, types and imports, and run the tests
	@$(BIN)/python -m pytest $(AT_ONCE)

coverage: system $(VENV)/developing  ## Set everything up, then say which branches the tests leave out
	@PYTHONPATH="$(CURDIR)/tests/coverage" $(BIN)/python -m pytest $(AT_ONCE) --cov $(ARGS)

torture: system $(VENV)/developing  ## Set everything up, then kill studies at random, for long (ARGS=--help)
	@$(BIN)/python -m tests.faults.torture $(ARGS)

lint: $(VENV)/developing  ## Check style and types
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(VENV)/benching  ## Set everything up, then measure against other tools (ARGS=--help)
	@$(BIN)/python -m tests.bench.engines $(ARGS)

coordination: system $(VENV)/developing  ## Measure what it costs that workers share a study (ARGS=--help)
	@$(BIN)/python -m tests.bench.coordination $(ARGS)

$(BIN)/python:
	@for python in python3.13 python3.12 python3.11 python3 python; do \
	  "$$python" -c 'import ensurepip, sys, venv; \
	    sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && break || python=; \
	done; \
	test -n "$$python" || { echo "capsearch needs Python 3.11, 3.12 or 3.13" \
	  "that can make virtual environments (Debian: install python3-venv)" >&2; exit 1; }; \
	echo "making $(VENV) with $$($$python --version)"; \
	"$$python" -m venv "$(VENV)"

$(VENV)/libraries: .requirements/run.txt | $(BIN)/python
	@echo "installing the pinned libraries (a minute or two)"
	@$(PINNED) $<
	@touch $@

$(VENV)/installed: $(SOURCES) $(VENV)/libraries
	@source="$$(mktemp -d)"; trap 'rm -rf "$$source"' EXIT; \
	cp -r pyproject.toml README.md LICENSE capsearch studies "$$source"; \
	$(PIP) install --no-deps --no-build-isolation --force-reinstall "$$source"
	@$(PIP) check
	@rm -f $(VENV)/developing; touch $@

$(VENV)/developing: pyproject.toml .requirements/dev.txt | $(BIN)/python
	@echo "installing the pinned libraries for development (a minute or two)"
	@$(PINNED) .requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@# What numba compiled for an installed copy outlives it, and would be imported as an empty package.
	@$(BIN)/python -c 'import shutil, sysconfig; \
	  shutil.rmtree(sysconfig.get_path("purelib") + "/capsearch", ignore_errors=True)'
	@rm -f $(VENV)/installed; touch $(VENV)/libraries $@

$(VENV)/benching: .requirements/bench.txt $(VENV)/installed
	@echo "installing the pinned libraries for benchmarks"
	@$(PINNED) $<
	@touch $@

system:
	@missing=(); \
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql); \
	for need in chromium:chromium crontab:cron sbatch:slurm-client shellcheck:shellcheck \
	    systemd-analyze:systemd strace:strace; do \
	  command -v "$${need%:*}" >/dev/null || missing+=("$${need#*:}"); \
	done; \
	test $${#missing[@]} -gt 0 || exit 0; \
	root=; test "$$(id -u)" = 0 || root=sudo; \
	command -v apt-get >/dev/null && { test -z "$$root" || command -v sudo >/dev/null; } || { \
	  echo "the tests need the Debian packages $${missing[*]}: install them as root" >&2; exit 1; }; \
	echo "installing Debian packages for the tests: $${missing[*]}"; \
	$$root apt-get update -qq; \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  "$${missing[@]}" >/dev/null

clean:  ## Remove what was built, not what was run
	rm -rf "$(VENV)" build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache .coverage*
