# Verbs, never logic: each calls one script or tool.
SHELL := /bin/bash
PYTHON ?=
BIN := .venv/bin
PYTEST_OPTIONS ?=
# A test starts hundreds of processes: none of them compiles again what another has imported.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test fast presets golden picture lint format docs bench serving clean

help: ## show the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

demo: .venv/ready ## generate ./demo from this checkout, and rehearse it
	@bash tools/demo.sh demo

test: .venv/ready ## run every test: the generator, the emitted repo, a rehearsal
	@bash tools/servers.sh
	@bash tools/test.sh $(PYTEST_OPTIONS)

fast: .venv/ready ## run the generator's tests only (under 10 minutes)
	@$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile $(PYTEST_OPTIONS)

presets: .venv/ready ## rehearse the presets streaming, warehouse and kubernetes on real servers (10 minutes)
	@bash tools/servers.sh
	@$(BIN)/python -m pytest -m presets $(PYTEST_OPTIONS)

golden: .venv/ready ## list anew what each preset writes, after a change that is meant
	@$(BIN)/python -m pytest -q tests/test_golden.py --write-golden

picture: .venv/ready ## draw docs/images/interview.svg from a real run of the interview
	@$(BIN)/python tools/interview.py

lint: .venv/ready ## check format, style, types and the workflow
	@$(BIN)/pre-commit run --all-files

format: .venv/ready ## format the code
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

docs: .venv/ready ## build the site of the documents: dist/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/ready ## time `scaffold new`, `update` and `check` beside Copier, cookiecutter and cruft
	@$(BIN)/python benchmarks/generator/run.py

serving: .venv/ready ## measure the emitted service beside five others (20 minutes)
	@bash benchmarks/serving/bench.sh

clean: ## remove the environment and what tools left
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache dist

.venv/ready: pyproject.toml tools/venv.sh
	@PYTHON="$(PYTHON)" bash tools/venv.sh
	@touch $@
