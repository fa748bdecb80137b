# The commands of a newcomer and of CI. Needs Python 3.11 or later, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROJECT := api/pyproject.toml
BUILD_LOCK := api/requirements-build.lock
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: FORCE run docs links test test-fallback test-versions test-lowest test-newest coverage fuzz lint format bench bench-quick dist lock clean

# Interrupted alone, and not with its group, GNU Make tells nothing to what it runs, and waits for it. It does remove the
# target that is being made: this file, which opa up ends with. Each make has its own, so that none ends another's.
RUNS := .opa/make-$(shell echo $$PPID)
run: $(RUNS)
$(RUNS): $(VENV)/.run FORCE
	@mkdir -p -m 700 $(@D) && touch $@
	$(BIN)/opa up --while-exists $@

# Six processes, since most tests wait for servers for a part of their time. TESTS=api/tests/core ARGS='-n 0' runs those
# of one folder in one process.
# All of them also show which part of the package they run, lines and branches in all processes (tests/probes.py), and end with an
# error below the floor of api/pyproject.toml; not without Docker, since the tests with RabbitMQ are skipped there.
TESTS := api/tests
PYTEST = $(BIN)/python -m pytest $(TESTS) -c api/pyproject.toml -n 6
COVERAGE := $(BIN)/coverage report --rcfile=api/pyproject.toml
test: $(VENV)/.dev
ifeq ($(TESTS)$(ARGS),api/tests)
	status=0; $(PYTEST) --coverage || status=$$?; \
	printf 'percent of the lines and branches of the package that the tests run: '; \
	$(COVERAGE) --format=total $$(docker info > /dev/null 2>&1 || echo --fail-under=0) || status=$$?; exit $$status
else
	$(PYTEST) $(ARGS)
endif

# Whether all of HTTP holds as with an untested version of FastAPI: it finds and describes the routes itself.
test-fallback: $(VENV)/.dev
	TESTS_FASTAPI_VERSION=999.0 $(BIN)/python -m pytest api/tests/_compat api/tests/http -c api/pyproject.toml -n 4 $(ARGS)

# The core part of the tests, in an environment of its own each, with the lowest versions that api/pyproject.toml declares
# and with the newest of the index; PYTHON=python3.13 for another Python. Before there is a release: `make test-newest`.
CORE := $(addprefix api/tests/,_compat core http loading settings test_private_names.py $(addprefix tasks/test_,\
	application.py broken_plugins.py codec.py lookups.py messages.py parameters.py schedules.py setting_keys.py \
	unpacking.py wrong_use.py))
test-versions: test-lowest test-newest
test-lowest: RESOLUTION := lowest-direct
test-newest: RESOLUTION := highest
test-lowest test-newest: test-%: $(VENV)/.dev
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(VENV)-$*
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV)-$* --resolution $(RESOLUTION) -e 'api[all]'
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV)-$* httpx2 hypothesis pytest pytest-timeout pytest-xdist
	$(VENV)-$*/bin/python --version
	$(BIN)/uv pip list --quiet --python $(VENV)-$* | grep -E '^(celery|fastapi|kombu|pydantic|redis|starlette|uvicorn) '
	$(VENV)-$*/bin/python -m pytest $(CORE) -c api/pyproject.toml -n 4 $(ARGS)

# The tests once more, with a table of what they do not run. TESTS=api/tests/core measures these alone.
coverage: $(VENV)/.dev
	status=0; $(PYTEST) --coverage $(ARGS) || status=$$?; $(COVERAGE) || status=$$?; exit $$status

# The examples, running, with 1,000 cases of each route by schemathesis, and then our own parsers with a million inputs each:
# hours on 2 cores. FUZZ_CASES and FUZZ_INPUTS are for fewer; `make test` has some of both.
FUZZ_CASES := 1000
FUZZ_INPUTS := 1000000
fuzz: $(VENV)/.dev
	status=0; cd api; ../$(BIN)/python -m tests.fuzz.examples --cases $(FUZZ_CASES) || status=$$?; \
	../$(BIN)/python -m tests.fuzz.parsers --count $(FUZZ_INPUTS) $(ARGS) || status=$$?; exit $$status

lint: $(VENV)/.dev
	$(BIN)/ruff format --check --config api/pyproject.toml api examples docs
	$(BIN)/ruff check --config api/pyproject.toml api examples docs
	$(BIN)/mypy --config-file api/pyproject.toml
	$(BIN)/mypy --config-file api/pyproject.toml examples
	cd api && ../$(BIN)/lint-imports pyproject.toml --no-cache
	cd api && ../$(BIN)/python -m tests.private_names

# The site of the documentation, which a console of this clone then serves below /opa/docs; the image makes its own.
SITE := api/data/opa/plugins/console/_documentation
docs: $(VENV)/.dev
	$(BIN)/python docs/site/build.py $(SITE)
	@echo 'built: $(SITE)/index.html'

# Asks each address in documents and code that leads to another host, and says which are broken. Needs the internet, which no
# test may: they see only that each is https, and to a host that is known.
links: $(VENV)/.dev
	cd api && ../$(BIN)/python -m tests.docs.hosts

format: $(VENV)/.dev
	$(BIN)/ruff format --config api/pyproject.toml api examples docs
	$(BIN)/ruff check --fix --config api/pyproject.toml api examples docs

# What opa-stack costs beside what it is made of, and over more and more plugins: the page docs/performance.md, its plots
# and its numbers, in less than 10 minutes on 2 cores. ARGS=--strict ends with 1 where a goal is missed; ARGS='hello memory'
# measures these alone, and writes nothing.
bench: $(VENV)/.bench
	cd api && ../$(BIN)/python -m bench --folder ../docs $(ARGS)

# Shows within a minute or so that all of it works, which no test does; what it measures says nothing.
bench-quick: $(VENV)/.bench
	cd api && ../$(BIN)/python -m bench --quick $(ARGS)

# The files of a release, in dist/: CONTRIBUTING.md says how it is made. ARGS='--unreleased --allow-dirty' tries the build at any
# time, --no-image leaves out the image, which takes minutes.
dist: $(VENV)/.dev
	cd api && PYTHONPATH=data ../$(BIN)/python -m release $(ARGS)

# Every version in one resolution; the smaller locks are cut from the largest. No index address is written.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
BUILD_REQUIRES := import tomllib; print(*tomllib.load(open("$(PROJECT)", "rb"))["build-system"]["requires"], sep="\n")
SQL_REQUIRES := import tomllib; print(*tomllib.load(open("$(PROJECT)", "rb"))["project"]["optional-dependencies"]["sql"], sep="\n")
ADMIN_REQUIRES := import tomllib; print(*tomllib.load(open("$(PROJECT)", "rb"))["project"]["optional-dependencies"]["admin"], sep="\n")
IMAGE_EXTRAS := --extra console --extra flower --extra jwt --extra mail --extra mcp --extra metrics --extra sessions --extra shell --extra tracing --extra webhooks
# Of a project that `opa new` makes: the same versions, so that its plugins meet in development what they meet in the image.
PROJECT_LOCK := api/data/opa/scaffold/template/requirements.lock.tmpl
lock: $(VENV)/.dev
	$(LOCK) $(ARGS) $(PROJECT) --extra all --group $(PROJECT):dev --group $(PROJECT):bench -o api/requirements-bench.lock
	$(LOCK) $(PROJECT) -c api/requirements-bench.lock --extra all --group $(PROJECT):dev -o api/requirements-dev.lock
	$(LOCK) $(PROJECT) -c api/requirements-dev.lock --extra all -o api/requirements-local.lock
	$(LOCK) $(PROJECT) -c api/requirements-dev.lock $(IMAGE_EXTRAS) -o api/requirements.lock
	$(BIN)/python -c '$(SQL_REQUIRES)' | $(LOCK) -c api/requirements-dev.lock - -o api/requirements-sql.lock
	$(BIN)/python -c '$(ADMIN_REQUIRES)' | $(LOCK) -c api/requirements-dev.lock - -o api/requirements-admin.lock
	$(LOCK) -c api/requirements-dev.lock --group $(PROJECT):docs -o api/requirements-docs.lock
	$(LOCK) $(PROJECT) -c api/requirements-dev.lock --no-annotate --extra local --extra testing --group $(PROJECT):project -o $(PROJECT_LOCK)
	$(BIN)/python -c '$(BUILD_REQUIRES)' | $(LOCK) $(ARGS) - -o $(BUILD_LOCK)
	echo pip | $(LOCK) $(ARGS) - -o api/requirements-pip.lock

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "opa-stack needs Python 3.11 or later, $(PYTHON) is %d.%d; name another one: make PYTHON=python3.13" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

# What builds the package is pinned as well: without isolation pip fetches nothing that is not in a lock.
$(VENV)/.run: $(BIN)/python api/requirements-local.lock $(BUILD_LOCK) $(PROJECT)
	$(PIP_INSTALL) --require-hashes -r $(BUILD_LOCK) -r api/requirements-local.lock
	$(PIP_INSTALL) --no-build-isolation --no-deps -e api
	@touch $@

$(VENV)/.dev: $(BIN)/python api/requirements-dev.lock $(BUILD_LOCK) $(PROJECT)
	$(PIP_INSTALL) --require-hashes -r $(BUILD_LOCK) -r api/requirements-dev.lock
	$(PIP_INSTALL) --no-build-isolation --no-deps -e api
	@touch $@ $(VENV)/.run

$(VENV)/.bench: $(BIN)/python api/requirements-bench.lock $(BUILD_LOCK) $(PROJECT)
	$(PIP_INSTALL) --require-hashes -r $(BUILD_LOCK) -r api/requirements-bench.lock
	$(PIP_INSTALL) --no-build-isolation --no-deps -e api
	@touch $@ $(VENV)/.dev $(VENV)/.run

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-newest .opa
