# Everything is installed into .venv, from requirements.lock, the first time that it is needed.
PYTHON ?= python3
BIN := .venv/bin
AXE := 4.14.1

.DEFAULT_GOAL := help
.PHONY: help install demo dev docs pictures check test browser proof lint format validate bench lock clean clean-demo lint-python lint-sql

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: .venv/.installed ## install everything into .venv

.venv/.installed: requirements.lock pyproject.toml analytics_assets/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
		|| { echo "error: Python 3.11, 3.12 or 3.13 is needed; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@echo "installing into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q analytics_assets
	@touch $@

demo: install ## simulate 30 days, make every day of every asset, say where to look
	@$(BIN)/analytics-assets demo

dev: install ## the UI, the sensors and the automation; `make dev PORT=3001` for another port than 3000
	@# From another folder, since Dagster would put the .env of this one before what is exported.
	@DAGSTER_HOME=$$($(BIN)/analytics-assets prepare) && export DAGSTER_HOME && cd "$$DAGSTER_HOME" \
		&& exec $(if $(filter command,$(firstword $(origin PORT))),env ANALYTICS_PORT=$(PORT)) "$(CURDIR)/$(BIN)/python" -m analytics_assets.operations.web dev --log-level warning -w "$(CURDIR)/workspace.yaml"

check: install lint ## the inner loop: lint, and the tests that start no process, no dbt and no browser
	@$(BIN)/pytest -n auto --dist worksteal analytics_assets_tests/unit

test: install ## run the tests, on all cores
	@$(BIN)/pytest -n auto --dist worksteal

browser: ## install what the tests of the dashboard need: Chromium and axe-core
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| (apt-get update -qq && apt-get install -y -qq chromium)
	@command -v npm >/dev/null || (apt-get update -qq && apt-get install -y -qq npm)
	@grep -qs '"version": "$(AXE)"' .browser/node_modules/axe-core/package.json \
		|| npm install --silent --no-fund --no-audit --prefix .browser axe-core@$(AXE)

proof: install ## run what takes long in full size: 10,000 files, all kills, backfills, histories, 1,000 pages
	@HYPOTHESIS_PROFILE=full $(BIN)/pytest -m proof
	@HYPOTHESIS_PROFILE=full $(BIN)/pytest analytics_assets_tests/integration/automation/test_property.py \
		analytics_assets_tests/integration/defs/test_attribution_credit.py \
		analytics_assets_tests/integration/defs/test_sessions.py \
		analytics_assets_tests/integration/defs/test_simulate.py analytics_assets_tests/system/operations/test_live.py

lint: install ## ruff, mypy, yamllint, sqlfluff, and the rooms: each imports only those below it
	@$(MAKE) --no-print-directory -j2 lint-python lint-sql

lint-python:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

lint-sql:
	@$(BIN)/yamllint --strict .
	@$(BIN)/sqlfluff lint dbt_project/models

format: install ## let ruff and sqlfluff mend what they can
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/sqlfluff fix --quiet dbt_project/models

validate: install ## load the code location as Dagster would
	@DAGSTER_HOME=$$($(BIN)/analytics-assets prepare) && export DAGSTER_HOME \
		&& $(BIN)/dagster definitions validate --load-with-grpc

docs: install ## the dbt docs, models and who reads them, as one page that needs no network
	@cd dbt_project && "../$(BIN)/dbt" --quiet docs generate --static --target-path target/docs
	@mv dbt_project/target/docs/static_index.html dbt_project/target/docs/index.html
	@echo "the dbt docs: dbt_project/target/docs/index.html"

pictures: install ## take the pictures of the docs anew; `make pictures sessions` takes one
	@$(BIN)/python docs/pictures.py $(PICTURES)

ifeq (pictures,$(firstword $(MAKECMDGOALS)))
PICTURES := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
$(foreach picture,$(PICTURES),$(eval $(picture):;@:))
endif

bench: install ## measure speed, as ratios to something outside the project; `make bench landing` measures a part
	@$(BIN)/python -m benchmarks $(PARTS)

# What follows `bench` are parts of it, not targets.
ifeq (bench,$(firstword $(MAKECMDGOALS)))
PARTS := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
$(foreach part,$(PARTS),$(eval $(part):;@:))
endif

lock: install ## resolve the dependencies anew
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --all-extras \
		--upgrade pyproject.toml -o requirements.lock

clean-demo: install ## take the demo out: its data, and its domains are switched off; your own stay
	@$(BIN)/analytics-assets remove-domain --demo --yes

clean: ## delete what the project made: data, Dagster's state, dbt's artifacts (the inbox, too)
	@[ ! -x $(BIN)/python ] || $(BIN)/python -m analytics_assets.operations.processes "$(CURDIR)"
	@rm -rf data/inbox data/lake data/warehouse data/published data/exports .dagster dbt_project/target dbt_project/logs .env
