# Short names for frequent tasks. `make` alone lists them.

.PHONY: help run fuzz check-dependencies test test-abuse test-clients test-faults chaos judge check-compose bench java go go-grpc node haproxy prometheus

help:
	@echo "make run                        starts a RocketMQ cluster with Remora in front of it and sends a message; until Ctrl-C"
	@echo "make run NAME_SERVER=host:port  starts Remora alone, in front of an existing cluster"
	@echo "make test                       all tests: unit, property, and real clients on a real cluster"
	@echo "make test-clients               every client version: directly, through Remora, through two replicas"
	@echo "make test-faults                brokers and name servers are killed, frozen and absent"
	@echo "make test-abuse                 attacks, each request code and each limit among them, and their effect on other clients"
	@echo "make fuzz                       generated input for every reader of received bytes, a minute each; SECONDS=n TARGET=name"
	@echo "make check-dependencies         licences, sources and versions of dependencies"
	@echo "make chaos                      replicas and brokers are killed and frozen for five minutes; no acknowledged message may be lost"
	@echo "make judge                      ten million generated headers, compared with the decoders of real brokers"
	@echo "make check-compose              the services of the compose file as processes, under load"
	@echo "make bench                      measurements; PART and ARGS are in benches/README.md"
	@echo "LISTEN=address:port             where Remora listens with make run (default: the first free port of 127.0.0.1 from 8080)"

run:
	@exec integration-tests/scripts/run.sh '$(or $(LISTEN),default)' '$(NAME_SERVER)'

# Java 5.5.0 and 4.9.3: each feature through Remora, and directly where that fails. Go: both ways.
test: java go haproxy prometheus
	cargo test --workspace --no-fail-fast

# What `make test` leaves out: all versions, Python, Node, Rust, and a third way, through two replicas
# behind HAProxy. Clients that speak gRPC also run through the Java proxy; HTTP SDKs never directly, as
# brokers do not speak HTTP. Each suite ends with its table.
test-clients: java go go-grpc node haproxy
	REMORA_IT_CLIENTS=all REMORA_IT_REPLICAS=2 cargo test --package integration-tests --no-fail-fast \
		--test java_versions --test go_client --test python_client --test grpc_clients \
		--test http_sdks --test replicas --test acl

# Brokers and name servers of a real cluster are killed, frozen and absent for a while.
# ONLY=TEXT runs the tests whose names contain it.
test-faults: java
	REMORA_IT_FAULTS=all cargo test --package integration-tests --test broker_faults $(ONLY)

# Attacks by one client or a few, and their effect on healthy clients. `make test` runs the quick
# half. The suite ends with a table. ONLY=TEXT runs the tests whose names contain it.
test-abuse: java
	REMORA_IT_ABUSE=all cargo test --package integration-tests --no-fail-fast --test abuse --test half_open $(ONLY)

# Under load from real clients, replicas are killed, and brokers frozen, killed and restarted. No
# acknowledged message may be lost.
chaos: java haproxy
	REMORA_IT_CHAOS_SECONDS=300 cargo test --package integration-tests --test chaos

# Ten million generated headers, read by Remora and by the decoders of real brokers. (`make test`
# tries a million.)
judge: java
	REMORA_IT_HEADERS=10000000 REMORA_IT_SEED=$${REMORA_IT_SEED:-$$(date +%s%N)} cargo test --release --package integration-tests --test judge -- --nocapture

# The services of the compose file as processes, under load. Needs root.
check-compose:
	deploy/check.sh compose

# Generated input, SECONDS for each target, two targets at a time. The seed differs each time;
# SEED=n repeats a run. Inputs that fail are kept in integration-tests/tests/fuzz/corpus.
SECONDS = 60
fuzz:
	REMORA_IT_FUZZ_SECONDS=$(SECONDS) REMORA_IT_SEED=$(or $(SEED),$$(date +%s%N)) \
		cargo test --workspace --test fuzz -- $(if $(TARGET),--exact $(TARGET))

# The rules for dependencies in CONTRIBUTING.
check-dependencies:
	integration-tests/scripts/check-dependencies.sh

# Measurements. Each writes its section of benches/RESULTS.md.
PART ?= side-by-side sinks
bench: java haproxy
	benches/scripts/install.sh setpriv=util-linux $(if $(findstring --bridge,$(ARGS)),redis-server webdis)
	cargo run --release --package benches --bin bench -- $(PART) $(ARGS)

# Installs a JDK and Maven, if they are missing.
java:
	integration-tests/scripts/install-java.sh

# Installs Go, if it is missing. (The Python suites make their own environments.)
go:
	integration-tests/scripts/install-go.sh

# The same for the client that speaks gRPC, which needs a newer one.
go-grpc:
	integration-tests/scripts/install-go.sh 24

# Installs Node and npm, if they are missing.
node:
	integration-tests/scripts/install-node.sh

# Installs HAProxy, the balancer in front of replicas, if it is missing.
haproxy:
	benches/scripts/install.sh haproxy ip=iproute2

# Installs Prometheus, which scrapes Remora in one test, and curl, with which another runs the
# commands of a document, if they are missing.
prometheus:
	benches/scripts/install.sh prometheus curl
