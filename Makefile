# Short names for what is done often. `make` alone does nothing that takes long: it lists them.

LISTEN ?= 127.0.0.1:8080

.PHONY: help run test test-clients bench java go

help:
	@echo "make run                        a RocketMQ cluster, Remora in front of it, a message through it; until Ctrl-C"
	@echo "make run NAME_SERVER=host:port  Remora alone, in front of an existing cluster"
	@echo "make test                       all tests: unit, property, and real clients on a real cluster"
	@echo "make test-clients               every generation of client, directly and through Remora, and the table of both"
	@echo "make bench                      Remora beside its peers; benches/README.md tells of PART and ARGS"
	@echo "LISTEN=host:port                where Remora listens (default $(LISTEN))"

ifdef NAME_SERVER
run:
	cargo run --release --package proxy-server --bin remora -- --name-server '$(NAME_SERVER)' --listen '$(LISTEN)'
else
run: java
	cargo build --release --package proxy-server --bin remora
	cargo run --package integration-tests --bin run-cluster -- '$(LISTEN)'
endif

test: java go
	cargo test --workspace --no-fail-fast

# What the quick run of `make test` leaves out: all versions. Each suite ends with its table.
test-clients: java go
	REMORA_IT_CLIENTS=all cargo test --package integration-tests --no-fail-fast --test java_versions \
		--test go_client --test python_client

# Measurements, each into its section of benches/RESULTS.md.
PART ?= side-by-side sinks
bench: java
	benches/scripts/install.sh haproxy setpriv=util-linux
	cargo run --release --package benches --bin bench -- $(PART) $(ARGS)

# A JDK and Maven, when they are absent.
java:
	integration-tests/scripts/install-java.sh

# Go, when it is absent. (The Python suite makes its own environment.)
go:
	integration-tests/scripts/install-go.sh
