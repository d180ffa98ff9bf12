# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PYTHONPATH := $(CURDIR)
unexport PYTHONDONTWRITEBYTECODE
MAKEFLAGS += --no-builtin-rules

COMPOSED := $(wildcard deploy/.env)

.PHONY: help setup demo up secrets rotate-key canaries backup restore migrate doctor test drill upgrade mutants parity fuzz check format bench cost scale openapi settings attacks
.PHONY: sbom known-vulnerabilities digests
.PHONY: released-openapi reference docs docs-screenshot screenshots lock release clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Create .venv with all locked dependencies (other targets do this themselves)

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say make PYTHON=python3.x")'
	@echo "Setting up .venv (once; under a minute, or a few where only pip can be had) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m deploy.dependencies.install
	@touch $@

demo: .venv/ready ## Start everything, retrain an example twice, show the result, stop
	@$(BIN)/python -m deploy.one_machine.demo

up: .venv/ready ## Start Redis, MLflow, API, worker and Flower on this machine; Ctrl-C stops them
	@$(BIN)/python -m deploy.one_machine.stack

secrets: ## Create deploy/secrets for docker compose; overwrites nothing
	@$(PYTHON) -m deploy.make_secrets

rotate-key: $(if $(COMPOSED),,.venv/ready) ## Give SECRET_KEY's place to a new key while all runs; repeat until the old one is dropped
	@$(if $(COMPOSED),deploy/compose-rotate-key.sh,$(BIN)/python -m shared.sql.keys)

backup: $(if $(COMPOSED),,.venv/ready) ## Back up records and models, of Compose if there is deploy/.env (FOLDER=backups/...)
	@$(if $(COMPOSED),deploy/compose-backup.sh,$(BIN)/python -m deploy.one_machine.data_backup save) $(or $(FOLDER),backups/$(shell date -u +%Y%m%dT%H%M%SZ))

restore: $(if $(COMPOSED),,.venv/ready) ## Restore a backup, of Compose if there is deploy/.env (FOLDER=backups/...)
	@$(if $(COMPOSED),deploy/compose-restore.sh,$(BIN)/python -m deploy.one_machine.data_backup restore) $(or $(FOLDER),$(error Say which: make restore FOLDER=backups/...))

migrate: .venv/ready ## Bring the job store's schema up to date
	@$(BIN)/python -m shared.sql.schema

# In Compose the settings, the names and the secrets are the worker's; its own container may not be able to start.
COMPOSED_DOCTOR = cd deploy && docker compose run --rm --no-deps --quiet-pull worker python -m worker.doctor

doctor: $(if $(COMPOSED),,.venv/ready) ## Check everything a worker depends on, as a worker of Compose if there is deploy/.env
	@$(if $(COMPOSED),$(COMPOSED_DOCTOR),$(BIN)/python -m worker.doctor) $(ARGS)

test: .venv/ready ## Run all tests (ARGS="-k name" for some, LONG=1 for longer suites, COVERAGE=1 to measure unit tests)
	@$(BIN)/python -m pytest $(if $(COVERAGE),--cov --cov-report=) $(or $(ARGS),-n 2 --dist loadfile --no-loadscope-reorder)
	@$(if $(COVERAGE),$(LEAST_COVERED) || true)

# Shown, never a reason to fail.
LEAST_COVERED = $(BIN)/coverage report --sort=cover > build/coverage/table.txt \
	&& echo "Statements and branches that the unit tests reach (all files: build/coverage/table.txt):" \
	&& head -12 build/coverage/table.txt && tail -2 build/coverage/table.txt

drill: .venv/ready ## Break everything under load; check that nothing is lost (FAULTS=200 SEED=7)
	@$(BIN)/python -m tests.drill --faults $(or $(FAULTS),30) --seed $(or $(SEED),1) $(ARGS)

canaries: .venv/ready ## Let every kind of secret in, end jobs in every way, and look for each secret everywhere
	@LONG=1 $(BIN)/python -m pytest -rP tests/acceptance/test_canaries.py $(ARGS)

upgrade: .venv/ready ## Upgrade from an older commit during training, with both versions at once, and back (OLD=1f42d56)
	@$(BIN)/python -m tests.upgrade --old $(or $(OLD),1f42d56) $(ARGS)

mutants: .venv-mutants/ready ## Change the pure decisions in a thousand ways; each that no test notices must be explained
	@rm -rf mutants
	@env -u PYTHONPATH .venv-mutants/bin/python -m tests.mutants

attacks: .venv/ready ## Take each defence of the attack table out, in a copy; its test must fail (ARGS="hook CSRF" for some)
	@$(BIN)/python -m tests.attacks $(ARGS)

.venv-mutants/ready: .venv/ready requirements-mutants.txt
	@$(BIN)/python -m venv .venv-mutants
	@.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-mutants.txt
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > .venv-mutants/packages
	@cp .venv-mutants/packages "$$(.venv-mutants/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dev.pth"
	@touch $@

parity: .venv/ready ## Run project files with mlflow run and with this service; compare in build/parity.md (ARGS="bash:")
	@$(BIN)/python -m tests.parity $(ARGS)

fuzz: .venv/ready ## Ask the API what its document allows and what not, and its pages anything, as a caller of each role (ARGS="--examples 100 --isolated")
	@$(BIN)/python -m tests.fuzz $(ARGS)

check: .venv/ready ## Lint, format, types, import layers, generated files, API compatibility
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m api.openapi build/openapi.json
	@$(BIN)/python -m api.openapi.breaking docs/openapi.json build/openapi.json
	@$(BIN)/python -m deploy.settings_table --check
	@$(BIN)/python -m deploy.docs --check

format: .venv/ready ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: .venv/ready ## Measure speed and memory beside doing it by hand (ARGS="submit first-line", CHECK=1 to hold it to its budgets)
	@$(BIN)/python -m tests.bench $(if $(CHECK),--check) $(ARGS)

cost: .venv/ready ## Measure what an evaluation and the guard before MLflow cost a job (ARGS="evaluation --rounds 3")
	@$(BIN)/python -m tests.cost $(ARGS)

scale: .venv/ready ## Measure a job store as hosts and jobs grow (ARGS="--hosts 1 100 --jobs 1000")
	@$(BIN)/python -m tests.scale $(ARGS)

openapi: .venv/ready ## Write the API's document to build/openapi.json (docs/openapi.json is the last release's)
	@$(BIN)/python -m api.openapi build/openapi.json

released-openapi: openapi ## For a release: update docs/openapi.json and the pages generated from it
	@cp build/openapi.json docs/openapi.json
	@$(BIN)/python -m deploy.docs

settings: .venv/ready ## Regenerate the tables of settings in docs/reference and deploy/.env.example
	@$(BIN)/python -m deploy.settings_table

reference: .venv/ready ## Regenerate the reference pages: API, request, command line, attacks
	@$(BIN)/python -m deploy.docs
	@$(BIN)/python -m tests.attacks --page

docs: .venv-docs/ready ## Build the documentation site in build/site; warnings, dead links and misspellings fail
	@$(PYTHON) -m deploy.docs.site

docs-screenshot: docs ## Save a picture of the site's first page in docs/images (needs chromium)
	@mkdir -p docs/images
	@chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1440,900 \
		--screenshot=docs/images/site.png file://$(CURDIR)/build/site/index.html 2>/dev/null

screenshots: .venv/ready ## Save pictures of the pages in docs/images, of the same jobs each time (needs chromium)
	@$(BIN)/python -m tests.screenshots

.venv-docs/ready: requirements-docs.txt
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-docs.txt
	@touch $@

sbom: .venv-security/ready ## Write what each image is made of to build/sbom (CycloneDX; IMAGES="api worker")
	@mkdir -p build/sbom
	@set -o pipefail; for image in $(or $(IMAGES),api worker mlflow flower); do \
		$(PYTHON) deploy/dependencies/lock.py $$image | .venv-security/bin/cyclonedx-py requirements \
			--output-reproducible --output-file build/sbom/$$image.cdx.json - || exit 1; \
		echo build/sbom/$$image.cdx.json; done

known-vulnerabilities: .venv-security/ready ## Ask the public database about every locked package (pip-audit; needs the internet)
	@.venv-security/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement requirements.txt

digests: ## Print lines for deploy/.env that pin base images to what is on this machine
	@$(PYTHON) -m deploy.dependencies.digests

.venv-security/ready: requirements-security.txt
	@$(PYTHON) -m venv .venv-security
	@.venv-security/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-security.txt
	@touch $@

RESOLVE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"

lock: .venv/ready ## Resolve all dependencies again (ARGS="--upgrade" for newer ones)
	@$(RESOLVE) $(foreach group,api worker mlflow flower installer dev,--group $(group)) \
		--output-file requirements.txt $(ARGS)
	@$(RESOLVE) --group docs --output-file requirements-docs.txt $(ARGS)
	@$(RESOLVE) --group security --output-file requirements-security.txt $(ARGS)
	@$(RESOLVE) --group mutants --constraint requirements.txt --output-file requirements-mutants.txt $(ARGS)

release: .venv/ready ## Build wheel, sdist and checksums in dist/, and the images, of the version in pyproject.toml
	@$(BIN)/python -m deploy.release

clean: ## Delete .venv and caches (not .data, which has jobs and models)
	@rm -rf .venv .venv-docs .venv-mutants .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
