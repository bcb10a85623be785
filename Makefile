# The commands of this repository. Each one does all its own set-up and may be run at any time, twice.
.PHONY: help demo test bench fuzz lint fmt tools ruby clean
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Development tools, pinned in requirements-test.txt and scripts/emulators, live in a folder of the project.
TOOLS := target/tools
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)
export JETPACK_TEST_PYTHON := $(CURDIR)/$(TOOLS)/bin/python

# Built with the features of the whole workspace, so that the compiler of Ruby's image is built once and not twice, as with
# `cargo xtask`.
XTASK = cargo build --quiet --locked --workspace --bin xtask && target/debug/xtask

# What is measured needs nothing of the machine but its kernel, as a program for nodes should.
STATIC = --config dist/static.toml --target $(shell rustc -vV | sed -n 's/^host: //p')

help: ## show the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a cluster of three nodes on this machine; ONCE=1 shows it and stops
	@./examples/demo.sh $(if $(ONCE),--once)

test: tools lint ## everything that CI runs
	cargo build --locked --workspace --bins
	cargo nextest run --locked --workspace

bench: tools ruby $(TOOLS)/salt/.stamp ## our programs against their peers; BENCH="facts" runs only that comparison
	@./scripts/need.sh cc ohai puppet rsync rabbitmq-server
	@cargo build --quiet --locked --release $(STATIC) --package jetpack --package benches
	@JETPACK_BENCH_SALT=$(CURDIR)/$(TOOLS)/salt/bin/salt-call cargo run --quiet --locked --release $(STATIC) --package benches -- $(BENCH)

fuzz: ruby ## every fuzzer for a minute; FUZZ=name for one, SECONDS_EACH=300 for longer
	@./scripts/fuzz.sh $(or $(SECONDS_EACH),60) $(FUZZ)

lint: tools ruby ## formatting, clippy, licences and bans, arrows between the crates
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo deny --log-level error check bans licenses sources
	$(XTASK) check-deps

ruby: ## the image of Ruby that recipes need
	@./scripts/need.sh cargo cc npm
	$(XTASK) ruby

fmt: ## format the code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

tools: $(TOOLS)/.stamp

$(TOOLS)/.stamp: requirements-test.txt scripts/install-tools.sh $(wildcard scripts/emulators/*)
	@./scripts/install-tools.sh $(TOOLS)

# Salt is large and has many requirements: in an environment of its own, which only `make bench` needs.
$(TOOLS)/salt/.stamp: requirements-bench.txt
	@./scripts/need.sh venv cc
	python3 -m venv $(TOOLS)/salt
	$(TOOLS)/salt/bin/python -m pip --quiet --disable-pip-version-check install --requirement requirements-bench.txt
	touch $@

clean: ## remove everything that was built
	cargo clean
