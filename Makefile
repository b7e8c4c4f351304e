# Every target uses the environment of .ci/deps: RocksDB compiled once per machine, one cargo target folder outside the
# checkout. Two commands are enough to begin: `make run` and `make test`.

# Where `make run` keeps configuration and data, and the name of a new server. The name is part of every user id and
# cannot be changed after the first start.
WARDSTEAD_HOME ?= $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/wardstead
SERVER_NAME ?= localhost

# Programs that tests call by name. Of PostgreSQL, tests start servers of their own, as an unprivileged user; client libraries of
# others are installed into an environment of Python.
test_packages := curl postgresql python3-venv

in_env := .ci/deps exec
target = $$(.ci/deps env | sed -n 's/^CARGO_TARGET_DIR=//p')

.DEFAULT_GOAL := help
.PHONY: help deps run test clients kill cluster bench faults complement fuzz-api container fmt lint config ci

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

deps: ## install missing Debian packages, compile RocksDB once per machine
	@.ci/deps

run: deps ## build in release and serve on 127.0.0.1:8008; the first start makes configuration and data folder
	@$(in_env) cargo build --release --locked -p wardstead
	@"$(target)/release/wardstead" init --if-missing --server-name "$(SERVER_NAME)" "$(WARDSTEAD_HOME)"
	@exec "$(target)/release/wardstead" serve --config "$(WARDSTEAD_HOME)/config.toml"

test: deps ## run every test
	@.ci/deps $(test_packages)
	$(in_env) cargo test --workspace --locked
	$(in_env) cargo build --locked -p wardstead
	WARDSTEAD_BIN="$(target)/debug/wardstead" $(in_env) tests/run test

clients: deps ## client libraries of others, longer than in the tests: encrypted conversations, the life of a room
	@.ci/deps $(test_packages)
	$(in_env) cargo build --locked -p wardstead
	WARDSTEAD_BIN="$(target)/debug/wardstead" $(in_env) tests/run clients

kill: deps ## 50 rounds of SIGKILL and 45 more around messages to a device, half of them with the unsynced bytes cut off
	$(in_env) cargo build --release --locked -p wardstead
	WARDSTEAD_BIN="$(target)/release/wardstead" $(in_env) tests/run kill

cluster: deps ## several nodes on one PostgreSQL: kills, a lost database, typing, backup, with the promised times and rates
	@.ci/deps $(test_packages)
	$(in_env) cargo build --release --locked -p wardstead
	WARDSTEAD_BIN="$(target)/release/wardstead" $(in_env) tests/run cluster

bench: deps ## measure; the figures go to docs/benchmarks.md
	$(in_env) cargo build --release --locked -p wardstead
	WARDSTEAD_BIN="$(target)/release/wardstead" $(in_env) tests/run bench

faults: deps ## apply each named fault to a copy of the tree; each must turn the tests red; FAULTS="03 26" tries those
	$(in_env) tests/run faults

complement: deps ## the conformance suite, compared with the committed results; COMPLEMENT_BIN=… TESTS=…: complement/README.md
	$(in_env) complement/run

fuzz-api: deps ## ask everything that the specification's OpenAPI files describe: SPEC=…/matrix-spec/data/api OPTIONS=…: tests/fuzz-api/run
	@.ci/deps python3-venv
	$(in_env) tests/fuzz-api/run "$(SPEC)" $(OPTIONS)

container: ## build the image with Docker and try it: health, a message, a quick stop, a restart; IMAGE=… tries that one
	@tests/container/run

fmt: ## format the code
	cargo fmt --all
	cargo fmt --all --manifest-path tests/Cargo.toml

lint: deps ## what .ci/run checks before the tests
	@.ci/run lint

config: deps ## write config.example.toml anew from the configuration types
	@$(in_env) cargo run --quiet --locked -p wardstead -- example-config > config.example.toml.new
	@mv config.example.toml.new config.example.toml

ci: ## what continuous integration runs
	@.ci/run
