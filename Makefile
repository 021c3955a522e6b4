# `make demo` and `make test` work on a fresh machine with Python 3.11 or later: they make .venv themselves.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs dist bench report web web-test clean

demo: .venv/demo
	$(BIN)/python -m benchmarks.demo

test: .venv/dev
	$(BIN)/python -m pytest

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/docs
	rm -rf docs/_build
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -d docs/_build/doctrees . docs/_build/html

dist: .venv/dev
	rm -rf dist
	for package in . models/crayon models/paper; do \
		$(BIN)/python -m build --quiet --no-isolation --outdir dist $$package || exit; \
	done
	$(BIN)/python -m twine check --strict dist/*

bench: .venv/bench
	$(BIN)/python -m benchmarks run --help

report: .venv/bench
	$(BIN)/python -m benchmarks report benchmarks/results/*.json --out benchmarks/results --into README.md --into docs/results.md --into docs/training.md --into docs/paper.md --into docs/archives.md

.venv/%: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$*]"
	touch $@

web:
	web/build.sh

web-test: .venv/dev
	rm -rf web/test/cases
	$(BIN)/python web/test/make_cases.py web/test/cases
	cd web && npm ci --silent --no-audit --no-fund && npm test --silent

clean:
	rm -rf .venv demo build dist docs/_build *.egg-info models/*/*.egg-info web/node_modules web/vendor web/models web/test/cases
