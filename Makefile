# One entry point for people and for CI: `make <target>`; nothing but make and
# a Python 3.11+ has to be there. `make test ARGS="tests/core -k tags"` narrows.

# Tests start a few hundred interpreters; without bytecode each compiles for seconds.
unexport PYTHONDONTWRITEBYTECODE

PY := .venv/bin/python
PY20 := .venv-sqlalchemy20/bin/python
ARGS ?=
JOBS ?= 3
PYTEST := -m pytest -n $(JOBS) $(ARGS)
# What SQLAlchemy has no part in, or little, and MariaDB: once, on the newest; so what
# takes long and is about orders of events. All if ARGS say what to run.
ONCE := $(if $(ARGS),,$(addprefix --ignore=tests/,\
	benchmarks cache codec conformance consistency core demo docs explorer house \
	payloads soak stores typing workers \
	$(addprefix shared/test_,$(addsuffix .py,backplane backplane_of_groups callers_let_go cluster dead_writers file_of_two file_paths file_size file_weather \
	functions_are_shared functions_in_a_cluster half_closed insisting journal journal_places keys_are_shared last_need \
	listening loads_in_a_cluster memcached memcached_servers near one_load_for_all outages said secrets_of_urls sentinel \
	settings short_way stores_of_others storing suspects unreadable urls users weather workers)) \
	$(addprefix holes/test_hole_,$(addsuffix .py,02_processes 05_processes 07_async 07_inquiry 07_orphans \
	07_orphans_async 07_processes 07_shared 09_differential 11_shared 14_async 14_sessions 17)) hammer tenants/test_interleavings.py) \
	-m "not night" \
	-k "not mariadb and not asyncmy and not asyncpg and not (hole_14 and (postgresql or psycopg))")

# What a Cluster does beside holding its promises, which the gate sees, a machine whose
# histories are like those of the store suite, and tests that say so: once a night.
NIGHT := $(if $(ARGS),,-m "not night" $(addprefix --ignore=tests/,$(addsuffix .py,\
	$(addprefix stores/redis/test_,cluster_interleavings cluster_moves redis_machine) \
	shared/test_backplane_of_groups shared/test_functions_in_a_cluster shared/test_loads_in_a_cluster)))

.PHONY: help demo test quick nightly audited lint fmt bench conformance consistency soak docs services changelog lock clean
.DEFAULT_GOAL := help

help:            ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/.demo  ## see it work, in a terminal
	@$(PY) examples/demo.py $(ARGS)

test: .venv/.dev .venv-sqlalchemy20/.dev services  ## the whole suite on SQLAlchemy 2.1; on 2.0 what it has a part in, MariaDB apart
	$(PY20) $(PYTEST) $(ONCE)
	$(PY) $(PYTEST) $(NIGHT)

quick: .venv/.dev services  ## the suite once, on the newest SQLAlchemy, stop at the first failure
	$(PY) $(PYTEST) -x

nightly: export YOKEDCACHE_PROGRAMS ?= 100000
nightly: export YOKEDCACHE_SEED ?= $(shell date +%Y%m%d)00000
# a night that was stopped goes on, on the same commit with the same seed
nightly: export YOKEDCACHE_PASSED ?= .nightly/$(YOKEDCACHE_SEED)-$(shell git rev-parse --short HEAD)
nightly: export YOKEDCACHE_EVERY_KIND = 1
nightly: .venv/.dev services  ## 100,000 random programs with a cache and without, other ones each day; and what the gate has no time for
	$(PY) $(PYTEST) tests/stores/redis tests/shared -k "cluster or redis_machine or sentinel or workers"
	$(PY) $(PYTEST) tests/stores/memcached/test_interleavings.py tests/stores/memcached/test_suite.py \
		tests/stores/postgresql tests/shared/test_objects_are_shared.py tests/shared/test_short_way.py
	$(PY) $(PYTEST) -m night tests --ignore=tests/explorer
	YOKEDCACHE_EXPLORE=deep $(PY) $(PYTEST) tests/explorer
	$(PY) $(PYTEST) tests/differential

# Those that are left out plant differences: their alarms are right. Tests fail by the
# hundred, and to parse sources for tracebacks breaks Python 3.11 in deep greenlets.
audited: .venv/.dev services  ## the suite, each hit asked of the database again: no false alarm
	$(PY) $(PYTEST) --tb=native -p tests.support.audited $(if $(ARGS),,tests/cache tests/demo tests/footguns \
		tests/functions tests/hammer tests/holes tests/sqlalchemy tests/tenants tests/tutorial tests/workers \
		--ignore=tests/sqlalchemy/test_audit.py --ignore=tests/holes/test_hole_36.py \
		--deselect=tests/workers/test_file_watch.py::test_without_the_setting_they_are_not_heard)

lint: .venv/.dev  ## format, rules, types, architecture
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	$(PY) -m mypy
	.venv/bin/basedpyright
	.venv/bin/lint-imports

fmt: .venv/.dev  ## rewrite the files as lint wants them
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: .venv/.dev services  ## measure
	$(PY) benchmarks/run.py $(ARGS)

conformance: .venv/.dev .venv-sqlalchemy20/.dev services  ## SQLAlchemy's own suite, answered by us
	$(PY) conformance/run.py $(ARGS)

consistency: .venv/.dev services  ## many processes, one truth: what they read and wrote is judged
	$(PY) -m consistency.run $(ARGS)

soak: .venv/.dev services  ## a web application under load for minutes, with the cache and without
	$(PY) -m soak.run $(ARGS)

docs: .venv/.dev  ## check the docs
	$(PY) docs/build.py $(ARGS)

services: .venv/.dev  ## the servers that tests use: what is found, and install what is missing
	@$(PY) -m tests.services ensure

changelog: .venv/.dev  ## the next release's notes, as they stand
	@.venv/bin/towncrier build --draft --version next

lock:  ## resolve the dependencies anew, from the public index only
	@scripts/bootstrap uv
	scripts/lock $(ARGS)

clean:           ## remove what was made here
	rm -rf .venv .venv-sqlalchemy20 .services .bench .conformance .consistency .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist

.venv/.demo: pyproject.toml uv.lock scripts/bootstrap
	@scripts/bootstrap demo

.venv/.dev: pyproject.toml uv.lock scripts/bootstrap
	@scripts/bootstrap dev

.venv-sqlalchemy20/.dev: .venv/.dev
	@scripts/bootstrap sqlalchemy20
