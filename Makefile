# A verb per need. Everything that Python needs lives in .venv, which the first call makes.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# Arguments for the demo, the benches and pytest.
ARGS ?=
# Of each fuzz target, and of a storm.
SECONDS ?= 60

BIN := .venv/bin
# Other libraries to measure and check against.
PEERS := .venv/peers
PEERS_2 := .venv/peers-2
RUST := Cargo.toml Cargo.lock pyproject.toml $(shell find src -name '*.rs')

# Also in a shell where another environment is active.
export VIRTUAL_ENV := $(CURDIR)/.venv
unexport CONDA_PREFIX PYTHONHOME PYTHONPATH
# One interpreter for every build, so that none undoes another.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python

.PHONY: help demo test lint lint-rust lint-python test-rust test-python bench storm torture crashes mutants fuzz interop venv clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## producers and consumers on real input (ARGS="file or folder")
	$(BIN)/python examples/demo.py $(ARGS)

test: lint test-rust test-python ## every check and every test

lint: lint-rust lint-python ## format, lints, types, stubs, documentation

lint-rust: .venv/made
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features --document-private-items

lint-python: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict python/brokerless
	$(BIN)/python -m mypy.stubtest brokerless._brokerless

# Without the binding: to link it takes Python's own library, which not every machine has.
# tests/python is what tests it.
test-rust:
	cargo test --locked

test-python: venv
	$(BIN)/python -m pytest $(ARGS)

bench: venv $(PEERS)/made ## criterion, then Python beside its peers
	cargo bench --locked --bench '*'
	PYTHONPATH="$(CURDIR)/$(PEERS)" $(BIN)/python benches/python/run.py $(ARGS)

storm: ## a group of processes, killed and stopped for SECONDS (STORM_SEED, STORM_MEMBERS)
	STORM_SECONDS=$(SECONDS) cargo test --locked --test storm \
	    a_long_storm_breaks_nothing -- --ignored --nocapture

# Optimized, with the points at which processes are killed.
torture: export CARGO_PROFILE_DEV_OPT_LEVEL = 2
torture: export TORTURE_SECONDS = $(SECONDS)
torture: ## the long versions of the tests of docs/reliability.md, each for SECONDS (SEED)
	cargo test --locked --target-dir target/torture -- --ignored --nocapture --test-threads 1 torture_

# File systems that crash, and at how many moments each.
FS ?= ext4 xfs btrfs
IMAGES ?= 300

# Failing syncs.
ROUNDS ?= 50
# Faults that must be noticed on the first of the file systems.
CRASH_FAULTS := no-data-sync no-roll-sync

BUILD_MACHINE := cargo build --locked --manifest-path tests/machine/Cargo.toml --target-dir
MACHINE := target/machine/debug/brokerless-machine
FAULTY_MACHINE := target/machine-mutants/debug/brokerless-machine

# In the background, so that the shell hears of Ctrl-C and of a kill at once, and cleans up.
crashes: ## crashes of the machine on real file systems, failing syncs (root, FUSE, loop devices, strace)
	$(BUILD_MACHINE) target/machine
	RUSTFLAGS="--cfg brokerless_mutation" $(BUILD_MACHINE) target/machine-mutants
	run() { "$$@" & wait $$!; }; \
	clean() { kill $$! 2>/dev/null || true; wait $$! 2>/dev/null || true; $(MACHINE) clean; }; \
	trap clean EXIT; trap 'exit 130' INT; trap 'exit 143' TERM HUP; \
	for fs in $(FS); do run $(MACHINE) crashes $$fs $(IMAGES); done; \
	for fault in $(CRASH_FAULTS); do \
	    echo "== $$fault"; status=0; \
	    export BROKERLESS_FAULT=$$fault; \
	    run $(FAULTY_MACHINE) crashes $(firstword $(FS)) 16 || status=$$?; \
	    if [ $$status != 1 ]; then echo "$$fault was not noticed: $$status"; exit 1; fi; \
	done; \
	unset BROKERLESS_FAULT; \
	run $(MACHINE) sync-failures $(ROUNDS)

# Faults that src/planted.rs can plant: of groups, with each of two tests,
GROUP_FAULTS := no-owner-test no-fence no-free-test no-generation-step
# and the others with the test that must notice it, without those that take long.
FAULTS := no-data-sync:simulator no-roll-sync:simulator no-dir-sync:simulator \
    end-from-cache:simulator ack-before-sync:simulator no-cut-sync:simulator no-rollback:simulator \
    no-topics-sync:simulator forget-deletions:simulator commit-unsynced:simulator keep-offsets:simulator \
    no-owner-test:simulator no-free-test:simulator no-fence:simulator \
    delete-before-start-is-durable:simulator no-sync-before-deletion:simulator \
    no-cut-sync:engine:losses no-rollback:engine:losses no-dir-sync:engine:losses \
    short-write:full_disk short-write:file_limits keep-torn:full_disk keep-torn:file_limits keep-torn:engine:calls \
    keep-lock:engine:calls::an_append no-late-folder:engine:topics no-aborted-sync:engine:takeover \
    clean-at-any-rate:engine:faults no-settle:engine:compaction no-settle:cleaners refuse-gaps:engine:recovery \
    delete-before-start-is-durable:engine:retention no-sync-before-deletion:engine:retention \
    no-jump-test:engine:expiry no-jump-test:engine:retention no-jump-test:engine:compaction endless-abort:engine:compaction \
    cut-known-records:engine:recovery cut-known-records:engine:room \
    no-epoch-step:client:history no-validation:client:history no-sync-before-commit:client:history \
    trust-time-index:fuzz_short take-any-memory:hostile count-from-zero:decoder

# A test that only hangs has not noticed it: 101 is a test that failed.
mutants: export RUSTFLAGS = --cfg brokerless_mutation
mutants: export PROPTEST_DISABLE_FAILURE_PERSISTENCE = 1
mutants: export PROPTEST_MAX_SHRINK_ITERS = 0
mutants: export STORM_SECONDS = 60
mutants: ## faults, planted: the tests must notice each
	cargo test --locked --target-dir target/mutants --lib --test storm --test simulator --test engine \
	    --test client --test cleaners --test full_disk --test file_limits --test fuzz_short --test hostile --test decoder --no-run
	notices() { \
	    local fault=$$1 status=0; shift; \
	    echo "== $$fault: $$*"; \
	    BROKERLESS_FAULT=$$fault timeout 300 cargo test --locked --target-dir target/mutants "$$@" || status=$$?; \
	    if [ $$status != 101 ]; then echo "$$fault was not noticed: $$status"; exit 1; fi; \
	}; \
	for it in $(FAULTS); do \
	    IFS=: read -r fault test filter <<< "$$it"; \
	    notices $$fault --test $$test $$filter; \
	done; \
	for fault in $(GROUP_FAULTS); do \
	    notices $$fault --lib coord::group::model; \
	    notices $$fault --test storm a_long -- --ignored; \
	done

fuzz: ## every fuzz target for SECONDS (needs cargo-fuzz)
	targets=$$(cargo fuzz list); for target in $$targets; do \
	    mkdir -p fuzz/corpus/$$target; \
	    cargo fuzz run --sanitizer none "$$target" fuzz/corpus/$$target tests/data/fuzz/$$target \
	        -- -max_total_time=$(SECONDS) -timeout=20; \
	done

interop: venv $(PEERS)/made $(PEERS_2)/made ## Kafka's own tools and broker beside ours (needs Java)
	PYTHONPATH="$(CURDIR)/$(PEERS)" $(BIN)/python tests/interop/run.py $(ARGS)
	PYTHONPATH="$(CURDIR)/$(PEERS_2)" $(BIN)/python tests/interop/groups.py
	for peers in $(PEERS) $(PEERS_2); do \
	    PYTHONPATH="$(CURDIR)/$$peers" $(BIN)/python tests/interop/admin_names.py --check; \
	    PYTHONPATH="$(CURDIR)/$$peers" $(BIN)/python tests/interop/names.py --check; done
	PYTHONPATH="$(CURDIR)/$(PEERS)" $(BIN)/python tests/interop/decoder.py \
	    20000 $${SEED:-$$RANDOM} 1500 > target/decoder.tsv
	DECODER_ANSWERS=target/decoder.tsv cargo test --locked --test decoder many -- --ignored --nocapture

# Beside the environment and not in it: the tests must not see a real `kafka`.
$(PEERS)/made: .venv/made benches/python/requirements.txt tests/interop/requirements.txt
	rm -rf $(PEERS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(PEERS) \
	    --requirement benches/python/requirements.txt --requirement tests/interop/requirements.txt
	touch $@

# kafka-python 2 can do what 3 cannot: commit in a listener, for one.
$(PEERS_2)/made: .venv/made
	rm -rf $(PEERS_2)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(PEERS_2) \
	    'kafka-python[crc32c]>=2.2,<2.3'
	touch $@

venv: .venv/installed ## the virtual environment, with the package in it

.venv/made: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	    || { echo "Python 3.10 or newer is needed; set PYTHON=..." >&2; exit 1; }
	@cargo --version >/dev/null \
	    || { echo "Rust is needed: https://rustup.rs" >&2; exit 1; }
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 \
	    || rustup component add rustfmt clippy
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'maturin>=1.9.4,<2'
	touch $@

.venv/installed: .venv/made $(RUST)
	$(BIN)/maturin develop --locked --release --extras dev
	touch $@

clean: ## removes all that was made
	rm -rf target .venv fuzz/target demo-data .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
