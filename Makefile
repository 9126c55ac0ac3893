# Everything one does with Callbox's sources; `make` alone lists it.
#   make test PYTHON=python3.12     with another Python, 3.11 to 3.13
#   make test ARGS="-k mute -x"     arguments for the program behind the target
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-machine test-machine-cuts test-deb test-deb-contents deb lock check format bench bench-instructions bench-net bench-echo soak soak-messages fuzz deps clean ready-demo ready-test ready-machine ready-deb

VENV ?= .venv
ARGS ?=
export PYTHON VENV

bin := $(abspath $(VENV))/bin
# Every other marker has a target of its own.
quick := not soak and not bench and not machine and not cuts and not package
# Programs of the virtual environment come first, for the tests' child processes too.
with_venv := PATH="$(bin):$$PATH"
scripts := firmware/install.sh .ci/run systemd/status-light $(wildcard systemd/package/*.sh systemd/package/debian/callbox.p* hw/*.sh firmware/*/*.sh tests/*/*.sh tests/*/*/*.sh)

help: ## list what can be done
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: ready-demo ## a server, two boxes and a spoken call between them (ARGS=--json for figures)
	@$(with_venv) $(bin)/callbox demo $(ARGS)

test: ready-test ## all tests but the long ones, on two cores (one, in order, for a debugger: ARGS="-n 0 --pdb")
	@$(with_venv) $(bin)/python -m pytest -m "$(quick)" -n 2 --dist loadgroup $(ARGS)

test-machine: ready-machine ## the package on a whole machine under QEMU, as root (half an hour; ARGS="-k panel")
	@$(with_venv) $(bin)/python -m pytest -m "machine and not cuts" tests/machine $(ARGS)

test-machine-cuts: ready-machine ## the power cut 50 times at seeded moments, as root (CALLBOX_CUTS=10 CALLBOX_CUTS_SEED=1)
	@CALLBOX_CUTS=$${CALLBOX_CUTS:-50} $(with_venv) $(bin)/python -m pytest -m cuts -s tests/machine $(ARGS)

test-deb: ready-deb ready-test ## build the package and tell its stories: install, upgrade, way back, purge, as root
	@ARCH=$${ARCH:-amd64} systemd/package/build.sh
	@$(with_venv) $(bin)/python -m pytest -m package tests/package $(ARGS)

test-deb-contents: ready-test ## what can be told from the newest package in dist/ without installing it
	@$(with_venv) $(bin)/python -m pytest -m package tests/package/test_package_contents.py tests/package/test_package_lock.py $(ARGS)

deb: ready-deb ## Debian packages for arm64 and amd64, into dist/ (ARCH=amd64 for one, SUITE=bookworm for Debian 12)
	@systemd/package/build.sh

lock: ## renew versions and hashes of the Python packages inside the package (ARGS=--upgrade)
	@systemd/package/lock.sh $(ARGS)

check: ready-test ## lint, formatting, types, who may import whom, shell scripts
	@$(bin)/ruff check firmware systemd tests
	@$(bin)/ruff format --check firmware systemd tests
	@$(bin)/mypy
	@$(bin)/lint-imports
	@shellcheck $(scripts)

format: ready-test ## put the sources into their usual form
	@$(bin)/ruff format firmware systemd tests
	@$(bin)/ruff check --fix firmware systemd tests

bench: ready-test ## measure, and write the table of figures
	@$(with_venv) $(bin)/python -m callbox.testing.bench $(ARGS)

bench-instructions: ready-test ## what a call costs the audio thread beside libopus alone, in instructions (valgrind; ARGS=near)
	@$(with_venv) $(bin)/python -m callbox.testing.bench.instructions $(ARGS)

bench-net: ready-test ## the voice's frames over bad networks, beside UDP and TCP, as root (ARGS="--quick", or a condition)
	@$(with_venv) $(bin)/python -m callbox.testing.lab $(ARGS)

bench-echo: ready-test ## what each echo canceller makes of simulated rooms (two minutes; ARGS="speex webrtc")
	@$(with_venv) $(bin)/python -m callbox.testing.bench.echo $(ARGS)

soak: ready-test ## the long tests: hundreds of crashes at seeded moments
	@CALLBOX_KILLS=$${CALLBOX_KILLS:-200} $(with_venv) $(bin)/python -m pytest -m soak $(ARGS)

soak-messages: ready-test ## 10,000 sudden deaths among 100,000 messages: none lost, doubled or unreadable (20 minutes)
	@cd tests && $(with_venv) $(bin)/python -m scenarios.kill_cycles $(or $(ARGS),--cycles 10000)

fuzz: ready-test ## a minute of hostile input for every parser
	@for target in tests/fuzz/fuzz_*.py; do $(bin)/python "$$target" $(or $(ARGS),--seconds 60) || exit 1; done

deps: ready-test ## install what demo and tests need, and nothing more

clean: ## remove everything that these targets made, the virtual environment too
	@if [ -e "$(VENV)/callbox-base" ]; then rm -rf -- "$(VENV)"; fi
	@rm -rf -- .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist demo-out firmware/*.egg-info
	@find firmware tests -name __pycache__ -type d -prune -exec rm -rf -- {} +

ready-demo:
	@firmware/install.sh demo
ready-test:
	@firmware/install.sh test
ready-machine:
	@firmware/install.sh machine
ready-deb:
	@firmware/install.sh deb
