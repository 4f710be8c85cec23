# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := outputs/demo

.PHONY: demo test fuzz lint format tensorboard clean

# Installed again when what is needed changes.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.installed  ## train the sine VAE, sample from it, say where the pictures are
	rm -rf $(DEMO)
	$(BIN)/vaelab-train hydra.run.dir=$(DEMO)
	$(BIN)/vaelab-sample run=$(DEMO) out=$(DEMO)/samples
	$(BIN)/vaelab-sample run=$(DEMO) task=interpolate out=$(DEMO)/path
	@echo
	@echo "Look at"
	@ls $(DEMO)/figures/*.png $(DEMO)/samples/*.png $(DEMO)/path/*.png

test: $(VENV)/.installed
	$(BIN)/python -m pytest

fuzz: $(VENV)/.installed  ## 3,000 damaged and odd inputs of each kind
	$(BIN)/python scripts/fuzz.py --n 3000

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tensorboard: $(VENV)/.installed
	$(BIN)/tensorboard --logdir outputs

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
