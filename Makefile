# Everything the project can do from a checkout. Only Python 3.11+ and its venv module are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --no-header --no-emit-index-url --no-annotate
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# A bundle brings its wheels along, and no internet is asked.
OFFLINE := $(if $(wildcard wheels),--no-index --find-links wheels)
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input $(OFFLINE)
BUNDLE = ai-factory-twin-$(shell sed -n 's/^__version__ = "\([^"]*\)".*/\1/p' twin/__init__.py)
DIST := dist

.DEFAULT_GOAL := help
.PHONY: help setup run demo-telemetry test test-fast coverage check lock sbom bundle python

help: ## list what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-15s %s\n", $$1, $$2 }'

setup: $(VENV)/.run ## make .venv from the lock file

run: $(VENV)/.run ## set up, start web server and worker, print the address (ARGS="0.0.0.0:8000 ...")
	@$(BIN)/python manage.py serve $(ARGS)

demo-telemetry: $(VENV)/.run ## a plant publishes over MQTT, the twin reads and names its fault (needs mosquitto; ARGS="--seconds 60")
	@$(PIP_INSTALL) -c requirements-dev.lock paho-mqtt
	@TWIN_ALLOWED_NETWORKS=127.0.0.0/8 $(BIN)/python manage.py demo_telemetry $(ARGS)

test: $(VENV)/.test ## set up and run the test suite (ARGS="-k name")
	$(BIN)/python -m pytest -q $(PARALLEL) $(ARGS)

test-fast: $(VENV)/.test ## what takes two to three minutes on two cores: no browser, no services, nothing slow or to be compiled
	$(BIN)/python -m pytest -q $(PARALLEL) -m "not (browser or services or slow or compiled)" $(ARGS)

coverage: $(VENV)/.test ## unit tests, and the lines of compute, power_cooling and twin/core that they reach, held to a gate
	$(BIN)/python -m pytest -q $(PARALLEL) --cov --cov-report=term-missing:skip-covered tests/unit $(ARGS)

check: $(VENV)/.test ## lint, types, import contracts, migrations up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/oxlint --quiet static/js
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python manage.py makemigrations --check --dry-run

lock: $(VENV)/.run ## choose new versions for the lock files from the ranges in pyproject.toml
	$(PIP_INSTALL) uv
	$(LOCK) --upgrade --generate-hashes --extra postgres --extra redis -o requirements.lock
	$(LOCK) --upgrade --extra dev -o requirements-dev.lock

sbom: ## list every package of the lock as CycloneDX: sbom.json
	$(PYTHON) -m venv .venv-sbom
	.venv-sbom/bin/pip install -qq --disable-pip-version-check --no-input cyclonedx-bom
	.venv-sbom/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.json requirements.lock

bundle: | python ## source of this commit and every wheel of the lock in one archive, for machines without internet
	@rm -rf $(DIST)/$(BUNDLE) $(DIST)/venv && mkdir -p $(DIST)/$(BUNDLE)/wheels
	git archive HEAD | tar -x -C $(DIST)/$(BUNDLE)
	@$(PYTHON) -m venv $(DIST)/venv
	$(DIST)/venv/bin/pip download -qq --disable-pip-version-check --no-input --no-deps --only-binary :all: \
		--dest $(DIST)/$(BUNDLE)/wheels -r requirements.lock
	$(DIST)/venv/bin/pip download -qq --disable-pip-version-check --no-input --no-deps --only-binary :all: \
		--dest $(DIST)/$(BUNDLE)/wheels -c requirements-dev.lock paho-mqtt pyarrow
	cd $(DIST)/$(BUNDLE) && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs -d '\n' sha256sum > SHA256SUMS
	tar -c -f $(DIST)/$(BUNDLE).tar --owner 0 --group 0 -C $(DIST) $(BUNDLE)
	cd $(DIST) && sha256sum $(BUNDLE).tar > $(BUNDLE).tar.sha256
	@rm -rf $(DIST)/$(BUNDLE) $(DIST)/venv
	@echo "$(DIST)/$(BUNDLE).tar and its checksum; docs/operate/deploy.md says how it is installed."

# The stamps say which lock file the environment was made from; a newer lock file brings it up to date.
$(VENV)/.run: requirements.lock | python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "No virtual environment: install Python's venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Installing packages into $(VENV), about a minute the first time ..."
	@$(PIP_INSTALL) -r requirements.lock
	@touch $@

$(VENV)/.test: requirements-dev.lock $(VENV)/.run
	@$(PIP_INSTALL) -r requirements-dev.lock
	@touch $@

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
