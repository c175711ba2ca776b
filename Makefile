# Herald. `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Hundreds of processes start in one run: where Python may not write its bytecode, each would compile Herald anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo up test test-long chaos bench bench-long check format schemas lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The lock file decides what is installed; it is installed again when it changes. Two `make` at once take turns.
$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Herald needs Python 3.11 or later: install it, or set PYTHON"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Herald needs Python 3.11 or later; $(PYTHON) is older: set PYTHON"; exit 1; }
	@$(PYTHON) deploy/install.py $(VENV)

demo: $(STAMP) ## play the main job on a real Kafka, 30 days in 30 seconds
	@$(BIN)/herald demo $(ARGS)

up: $(STAMP) ## run a Kafka and every service until Ctrl-C
	@$(BIN)/herald up $(ARGS)

check: $(STAMP) ## types, lint, format, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m schemas.generate --check
	$(BIN)/python -m services.gateway.door.describe --check
	$(BIN)/python -m deploy.dashboards --check

# Most tests wait for Kafka: several files at a time, each worker with a broker of its own.
test: check ## every check, and all tests but the longest
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: check ## every test, with the full counts: half an hour and more
	HERALD_TEST_LONG=1 $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --timeout 3600 $(ARGS)

SEED ?= 1
MINUTES ?= 5
chaos: $(STAMP) ## three brokers, faults from a SEED for so many MINUTES, and the check: what was lost or repeated
	@$(BIN)/python -m tests.chaos.run --seed $(SEED) --minutes $(MINUTES) $(ARGS)

bench: $(STAMP) ## race Herald against bare aiokafka and Kafka Streams, side by side
	@$(BIN)/python -m tests.bench $(ARGS)

bench-long: $(STAMP) ## the same, then 100,000 live windows, 500 labs, and an hour's soak
	@$(BIN)/python -m tests.bench --all $(ARGS)

format: $(STAMP) ## format and sort imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: $(STAMP) ## write schemas, examples, topics, AsyncAPI, OpenAPI, the page on events, manifests and dashboards
	$(BIN)/python -m tests.contract.examples
	$(BIN)/python -m schemas.generate
	$(BIN)/python -m services.gateway.door.describe
	HERALD_PARTITIONS=6 $(BIN)/herald registry manifests deploy/registry.yaml > deploy/kubernetes/registry/resources.yaml
	$(BIN)/python -m deploy.dashboards

lock: $(STAMP) ## resolve the dependencies anew
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --group dev pyproject.toml -o requirements.lock

clean: ## remove what make made (not the demo's or your data)
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
