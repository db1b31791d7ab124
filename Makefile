# `make` alone lists the targets. Everything is installed into .venv, from locks with hashes.

PYTHON ?= python3
BIN := .venv/bin
UV := build/installer/bin/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --no-deps
SEED := 1
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

.PHONY: help venv demo test test-cluster test-faults check bench bench-webhooks models check-alerts lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## / - /'

venv: .venv/installed  ## install everything into .venv

demo: venv  ## upscale photographs through a broker and a store on this machine
	$(BIN)/upscale demo

test: venv  ## run every test but the benchmarks and those on a cluster
	$(BIN)/python -m pytest

test-cluster: venv  ## run the tests on three brokers of Apache Kafka; needs Java 17, and Maven the first time
	$(BIN)/python -m pytest -m cluster

# One seed at a time: `make test-faults SEED=7`.
test-faults: venv  ## break things on purpose, row by row, and seed bugs; half an hour on two processors
	$(BIN)/python -m pytest -m faults --fault-seed $(SEED) tests/fault
	$(BIN)/python -m docs.reliability

check: venv  ## format, lint, types, import contracts, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.generate --check
	$(BIN)/python -m docs.build --check
	$(BIN)/python -m ops.grafana.build --check

bench: venv  ## measure the engine beside upstream, then the whole path
	$(BIN)/upscale bench engine
	$(BIN)/upscale bench path

bench-webhooks: venv  ## measure how soon receivers of webhooks hear of an event
	$(BIN)/upscale bench webhooks

models: venv  ## measure what the networks make of photographs, and write docs/models.md
	$(BIN)/upscale bench quality --json docs/images/models.json --contact-sheet docs/images/models.webp
	$(BIN)/python -m docs.build

check-alerts:  ## check and test the alert rules; needs promtool
	promtool check config ops/prometheus/prometheus.yml
	promtool test rules ops/prometheus/alerts.test.yml

clean:  ## remove what this file installs
	rm -rf .venv build/installer build/apache-kafka

# Versions stay as they are; name packages to move in UPGRADE, as in UPGRADE="-P torch -P numpy".
lock: $(UV)  ## write requirements/ anew from pyproject.toml
	$(LOCK) $(UPGRADE) --overrides requirements/overrides.txt --extra worker --extra state --extra embedded --extra dev \
		pyproject.toml -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt --overrides requirements/overrides.txt --overrides requirements/overrides-worker.txt \
		--extra worker pyproject.toml -o requirements/worker.txt
	$(LOCK) -c requirements/dev.txt --overrides requirements/overrides.txt --extra state \
		pyproject.toml -o requirements/base.txt
	echo setuptools | $(LOCK) -c requirements/dev.txt - -o requirements/build.txt

$(UV): requirements/installer.txt
	$(PYTHON) -m venv --clear build/installer
	build/installer/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/installer.txt
	touch $@

# Up to 3.12: the setup script of basicsr fails on 3.13. Where no such Python is installed, uv fetches one.
# Without isolation: sdists are built with the pinned tools of build.txt, and nothing unpinned is fetched for them.
.venv/installed: $(UV) requirements/build.txt requirements/dev.txt pyproject.toml
	$(UV) venv --quiet --clear --python '>=3.11,<3.13' .venv
	$(INSTALL) --require-hashes -r requirements/build.txt
	$(INSTALL) --require-hashes --no-build-isolation -r requirements/dev.txt
	$(INSTALL) --no-index --no-build-isolation --editable .
	touch $@
