# Needs make and Python 3.11 or newer; everything else goes into .venv, once.
.DEFAULT_GOAL := help
.PHONY: help demo test site readme refresh prepare constraints clean
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq
TORCH := $(shell grep '^torch==' constraints.txt)
export MPLBACKEND := agg

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: .venv/.installed ## Predict the heat capacity of polymers with and without transfer; prints the page to open
	@$(BIN)/python -c "from mltransfer.cases.polymer_heat_capacity import run; run().show('demo/polymer_heat_capacity.html')"

test: .venv/.installed-dev .venv-fingerprints/.installed ## Run every notebook, the contract tests, and "generated = committed"
	@.venv-fingerprints/bin/python -m pytest -m fingerprints tests/test_molecule.py
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not fingerprints"

site: .venv/.installed-dev ## Build the pages of the docs to look at
	@$(BIN)/python -m tools.site

readme: .venv/.installed-dev ## Write README.md from nbs/index.ipynb
	@$(BIN)/python -m tools.nb2md

refresh: .venv/.installed-dev ## Run notebooks and keep their outputs: make refresh NB=nbs/00_core.ipynb
	@$(if $(NB),,$(error say which: make refresh NB=nbs/00_core.ipynb))
	@$(BIN)/python -m tools.refresh $(NB)

prepare: .venv/.installed-dev ## Before a commit: export the modules with their help, clean the notebooks, write the README
	@$(BIN)/nbdev_export && $(BIN)/python -m tools.docstrings && $(BIN)/nbdev_clean
	@$(BIN)/python -m tools.nb2md && $(BIN)/python -m tools.style_debt

constraints: ## Pin what a fresh environment resolves to today
	@PYTHON=$(PYTHON) tools/constraints.sh

clean: ## Remove what was built; delete .venv* to start over
	rm -rf _proc _docs _site demo build dist *.egg-info .pytest_cache .hypothesis
	find mltransfer tests tools -name __pycache__ -prune -exec rm -rf {} +

# torch first and by itself: a plain install takes the build that suits the machine
.venv/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"mltransfer needs Python 3.11 or newer, this is {v[0]}.{v[1]}; try: make PYTHON=python3.12")'
	@echo "Setting up .venv (once, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) $(TORCH)
	@touch $@

.venv/.installed: .venv/.torch settings.ini setup.py
	@$(PIP) -c constraints.txt -e .
	@touch $@

.venv/.installed-dev: .venv/.torch settings.ini setup.py
	@$(PIP) -c constraints.txt -e ".[dev]"
	@touch $@ .venv/.installed

# scikit-fingerprints caps RDKit: what differs from .venv, and nothing else
.venv-fingerprints/.installed: .venv/.installed-dev constraints-fingerprints.txt tools/fingerprints.sh
	@tools/fingerprints.sh .venv .venv-fingerprints -c constraints-fingerprints.txt
	@touch $@
