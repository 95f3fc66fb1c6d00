# Two commands are all a newcomer needs: "make run" and "make test".
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help setup setup-test run build test bench bench-ingest bench-agent bench-metrics bench-profile fuzz asan tsan asan-agent test-pythons leak oldest lint fmt wheel clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup: ## install what building and running needs
	@tools/setup
setup-test:
	@tools/setup --test

build: setup ## build the server, the tools, the page and the agent into build/
	@tools/build

run: build ## start the server and the example shop under the agent, and print the page's address
	@exec .venv/bin/python examples/shop/up.py

test: setup-test ## install, build, and run all tests
	@tools/build
	@tools/test

bench: bench-ingest bench-metrics bench-agent bench-profile ## measure, against peers in the same run; tables, and build/bench/*.json
bench-ingest: setup-test
	@tools/build
	@.venv/bin/python tests/bench/bench_ingest.py
bench-metrics: setup-test
	@tools/build
	@.venv/bin/python tests/bench/bench_metrics.py
bench-agent: setup-test
	@tools/build
	@.venv/bin/python tests/bench/bench_agent.py

bench-profile: setup-test
	@tools/build
	@.venv/bin/python tests/bench/bench_profile.py

fuzz: setup-test ## run each fuzz target for FUZZ_SECONDS (default 60)
	@tools/fuzz $(or $(FUZZ_SECONDS),60)

asan: setup-test ## unit tests under the address and undefined-behaviour sanitizers
	@tools/sanitize address,undefined

tsan: setup-test ## unit tests under the thread sanitizer
	@tools/sanitize thread

oldest: setup-test ## the agent's hooks on the oldest supported versions of the libraries
	@tools/build
	@tools/test oldest

asan-agent: setup-test ## tests of the agent's core on an extension built with the sanitizers
	@tools/sanitize-agent

test-pythons: setup-test ## tests of the agent's core on every Python from 3.9 on that is found here
	@tools/test-pythons

leak: setup-test ## a million requests through the agent (LEAK_REQUESTS): memory stays level
	@tools/build
	@VARAN_LEAK_REQUESTS=$(or $(LEAK_REQUESTS),1000000) .venv/bin/pytest -q -s tests/agent/test_leak.py --timeout 3600

lint: setup-test ## formatting and static checks of C, Python and TypeScript
	@tools/lint

fmt: setup-test ## format C and Python
	@tools/lint --fix

wheel: setup ## the agent's wheel, into build/wheel
	@.venv/bin/pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps -w build/wheel ./agent && ls build/wheel

clean: ## remove what was built (downloads stay in .cache and .venv)
	@rm -rf build build-* ui/dist .cache/stamps/ui .cache/stamps/agent
