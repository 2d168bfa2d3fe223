# Everything a newcomer types. On a machine that has only Python 3.11 and (for the tests) apt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?=
KILLS ?= 300
SEED ?= 1
DATABASE ?= sqlite
DAYS ?= 30
# the tests start Python hundreds of times: compiled once, each starts in half the time
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test fast faults bench lint debian lock clean audit sbom soak

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/demo.stamp  ## a province in a box; SECONDS=60 ends it by itself
	$(BIN)/python -m demo $(if $(SECONDS),--seconds $(SECONDS))

test: debian $(VENV)/test.stamp lint  ## everything the tests need, then the whole suite
	@# what fails beside two thousand others on a busy machine is run once more by itself; failing again fails the run
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder || $(BIN)/python -m pytest --last-failed --last-failed-no-failures none

fast: $(VENV)/test.stamp  ## the tests that need no server
	$(BIN)/python -m pytest -n auto -m "not slow"

faults: $(VENV)/test.stamp  ## kill -9 at random on a bad line: nothing lost, nothing invented; KILLS=300 SEED=1 DATABASE=postgresql
	@$(BIN)/python -m tests.faults --kills $(KILLS) --seed $(SEED) --database $(DATABASE)

soak: $(VENV)/test.stamp  ## a month in minutes: memory and disk stay flat; DAYS=30
	$(BIN)/python -m tests.soak --days $(DAYS)

bench: ALSO := prometheus-pushgateway:prometheus-pushgateway prometheus-sql-exporter:prometheus-sql-exporter
bench: debian $(VENV)/test.stamp  ## every claim beside its peer, in one run
	$(BIN)/python -m benchmarks

lint: $(VENV)/test.stamp  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

debian:  ## Debian's programs that the tests start
	@missing=""; \
	for pair in prometheus:prometheus promtool:prometheus prometheus-alertmanager:prometheus-alertmanager \
	  mariadbd:mariadb-server pdftotext:poppler-utils chromium:chromium victoria-metrics:victoria-metrics \
	  $(ALSO); do \
	  PATH="$$PATH:/usr/sbin" command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair##*:}"; \
	done; \
	for name in libreoffice-writer-nogui fonts-liberation2; do \
	  dpkg -s $$name >/dev/null 2>&1 || missing="$$missing $$name"; \
	done; \
	if [ -n "$$missing" ]; then \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo"; \
	  $$sudo apt-get update -qq && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: $(VENV)/bin/python requirements/demo.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements/demo.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/test.stamp: $(VENV)/bin/python requirements/test.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements/test.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/demo.stamp

audit: $(VENV)/test.stamp  ## known vulnerabilities of what is locked, and bandit; ends with 3 where the service does not answer
	@$(BIN)/python -m tests.security.audit

sbom: $(VENV)/test.stamp  ## dist/nhipso.cdx.json: the locked set as CycloneDX; each site has an index of its own, so none is named
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements/demo.lock --pyproject pyproject.toml -i "" --output-reproducible -o dist/nhipso.cdx.json

lock:  ## choose versions anew (needs uv)
	uv pip compile pyproject.toml --extra demo --extra build -o requirements/demo.lock $(LOCK)
	uv pip compile pyproject.toml --extra test -o requirements/test.lock $(LOCK)
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade \
	--custom-compile-command "make lock"

clean:  ## what make has made
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
