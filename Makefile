# `make demo` and `make test` do all their own set-up; PYTHON picks the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# ONNX Runtime reports home unless this is set before it is imported.
export ORT_DISABLE_TELEMETRY := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Each process of a test would compile all sources anew.
unexport PYTHONDONTWRITEBYTECODE
# Holds for build dependencies too, unlike --constraint.
export PIP_CONSTRAINT := $(abspath constraints.txt)

.PHONY: demo test test-fast test-all docs-test versions attack fuzz corpus conformance bundles public \
	lint bench zoo zoo-test packages tensorrt-headers clean

demo: $(VENV)/.demo
	mkdir -p build
	$(BIN)/modelport deploy examples/srcnn/recipe.py -o build/srcnn.port
	$(BIN)/python examples/srcnn/photograph.py build/photograph.png
	$(BIN)/modelport run build/srcnn.port --input input=@build/photograph.png --output output=@build/upscaled.png
	@echo "see build/upscaled.png and build/srcnn.port/report.html"

# On all cores, up to eight: each process holds PyTorch and what it tests. The order is drawn; a run
# prints its seed, and `make test SEED=...` repeats it. CPU minutes are printed at the end.
# `ORDER=file` takes the order of the files.
SEED ?=
ORDER ?= random
PYTEST := $(BIN)/python tests/cpu_time.py $(BIN)/python -m pytest --numprocesses auto \
	--maxprocesses 8 --dist worksteal $(if $(SEED),--randomly-seed=$(SEED)) \
	$(if $(filter file,$(ORDER)),-p no:randomly)

test: $(VENV)/.test
	-@$(MAKE) --no-print-directory tensorrt-headers
	$(PYTEST) -m "not slow"

# What is short alone: no compiler, no whole process, no architecture.
test-fast: $(VENV)/.test
	$(PYTEST) -m "not slow and not costly"

test-all: $(VENV)/.test versions
	-@$(MAKE) --no-print-directory tensorrt-headers
	$(PYTEST)

# Every command of every page in a process of its own, as a reader starts it.
docs-test: $(VENV)/.test
	-@$(MAKE) --no-print-directory tensorrt-headers
	MODELPORT_DOCS=cold $(PYTEST) tests/test_docs.py

# Headers that plugins are compiled with, out of a package that carries them. Tests that need them are
# skipped where they cannot be had; TENSORRT_INCLUDE_DIR names another folder.
HEADERS := build/tensorrt-headers
tensorrt-headers: $(HEADERS)/NvInfer.h
$(HEADERS)/NvInfer.h: | $(BIN)/python
	mkdir -p $(HEADERS)
	$(BIN)/python -m pip download --quiet --no-deps --dest $(HEADERS) kernel-lens==2.0.1
	$(BIN)/python -m zipfile --extract $(HEADERS)/kernel_lens-*.whl $(HEADERS)/wheel
	mv $(HEADERS)/wheel/kernel_lens/include/tensorrt/* $(HEADERS)
	rm -r $(HEADERS)/wheel $(HEADERS)/kernel_lens-*.whl

# What depends on versions, on the oldest and the newest that pyproject.toml allows and on every
# Python that is found, in environments of their own. COLUMNS names some of them.
COLUMNS ?=
versions: export PIP_CONSTRAINT :=
versions:
	$(PYTHON) -m tests.versions $(COLUMNS)

# What bundles, models and racers have tried, in Python and in C++, with its sanitizers.
attack: $(VENV)/.test
	$(BIN)/python -m pytest tests/attack

# How many files each command of `modelport graph` is given, and how many bundles are damaged.
FUZZ ?= 2000
FUZZ_BUNDLES ?= 5000
fuzz: $(VENV)/.test
	MODELPORT_FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/graph/test_fuzz.py
	MODELPORT_FUZZ=$(FUZZ_BUNDLES) $(BIN)/python -m pytest tests/bundle/test_fuzz.py tests/runtime/test_fuzz.py

corpus: $(VENV)/.test
	$(BIN)/python -m tests.export.corpus

# A suite that others test with, through every backend: it continues where it was stopped, as long as
# the sources stay, and writes its table and page at the end.
PART ?= nodes
conformance: $(VENV)/.test
	$(BIN)/python -m tests.conformance.$(PART)

# Stores one bundle of every kind that this version writes and has not stored yet.
bundles: $(VENV)/.test
	$(BIN)/python -m tests.data.make_bundles

# Records the public names, commands, keys and declarations. What takes away from them is refused,
# but for PUBLIC=--breaking.
PUBLIC ?=
public: $(VENV)/.test
	$(BIN)/python -m tests.surface $(PUBLIC)

lint: $(VENV)/.lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	$(BIN)/python -m tests.surface --python
	$(BIN)/python -m tests.native
	$(BIN)/python -m tests.wording

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

# Public architectures, one by one; its libraries need a torch and an environment of their own.
# SHARD is one part of so many; what has a row is not run again.
SHARD ?= 1/1
ZOO := .venv-zoo
zoo: $(ZOO)/.installed
	$(ZOO)/bin/python -m zoo --shard $(SHARD)

# What depends on PyTorch most, with the zoo's: a second version.
zoo-test: $(ZOO)/.installed
	$(ZOO)/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal \
		-m "not slow" tests/capture tests/export tests/promises tests/deployment

$(ZOO)/.installed: export PIP_CONSTRAINT := $(abspath $(ZOO)/constraints.txt)
$(ZOO)/.installed: pyproject.toml constraints.txt zoo/requirements.txt
	$(PYTHON) -m venv $(ZOO)
	grep -v '^torch==' constraints.txt > $(ZOO)/constraints.txt
	$(ZOO)/bin/python -m pip install --quiet --requirement zoo/requirements.txt \
		--editable '.[export,examples,images,openvino,tensorrt-rtx,test]'
	touch $@

# What the C++ side is built with, on Debian and Ubuntu; its tests are skipped where it is missing.
packages:
	apt-get update
	apt-get install --yes --no-install-recommends cmake g++ libpng-dev libssl-dev libzip-dev ninja-build nlohmann-json3-dev

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache

# One stamp for each set of extras; a change of pyproject.toml or constraints.txt installs it again.
$(VENV)/.demo: EXTRAS := export,examples
$(VENV)/.test: EXTRAS := export,examples,images,openvino,sign,tensorrt-rtx,view,test
$(VENV)/.lint: EXTRAS := export,lint
$(VENV)/.bench: EXTRAS := export,examples,images,openvino,sign,tensorrt-rtx,view,test,bench

$(VENV)/.demo $(VENV)/.test $(VENV)/.lint $(VENV)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
