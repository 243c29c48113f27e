# make demo    sets everything up and cuts a person out of a short clip
# make test    sets everything up and runs the tests
# make torch   adds PyTorch, so that `make test` runs the training tests too
# make extras  adds OpenVINO and TensorRT-RTX, so that `make test` runs their tests too (no GPU needed)
# make lint    format, lint and type checks, exactly what CI runs
# make bench   the naive loop against edgeseg, same clip, same model, one run

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0

.PHONY: demo test torch extras lint bench clean

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "no $(PYTHON) here; on Debian/Ubuntu: sudo apt-get install python3 python3-venv"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "edgeseg needs Python 3.10 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
		{ rm -rf $(VENV); echo "cannot make a virtual environment; on Debian/Ubuntu: sudo apt-get install python3-venv"; exit 2; }

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,dev]'
	@touch $@

$(VENV)/.train: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,train]'
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/python -m edgeseg.system_libs
	@$(BIN)/python tools/make_demo_clip.py demo_input.mp4
	@$(BIN)/edgeseg run demo_input.mp4 --effect blur -o demo.mp4 --report demo.json --overwrite
	@echo "wrote $(CURDIR)/demo.mp4 (from demo_input.mp4); figures in demo.json"
	@echo "with a camera: $(BIN)/edgeseg run 0 --effect blur"

test: $(VENV)/.test
	@$(BIN)/python -m edgeseg.system_libs
	$(BIN)/python -m pytest -q

torch: $(VENV)/.train

extras: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[openvino]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[rtx]'

lint: $(VENV)/.dev
	tools/check.sh

bench: $(VENV)/.test
	$(BIN)/python tools/bench_pipeline.py --json tools/bench_results/pipeline.json

clean:
	rm -rf $(VENV) demo_input.mp4 demo.mp4 demo.json
