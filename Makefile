# Short names for what is done often. `make` alone does nothing that takes long: it lists them.

.PHONY: help run fuzz check-dependencies test test-abuse test-clients test-faults chaos judge check-compose bench java go haproxy prometheus

help:
	@echo "make run                        a RocketMQ cluster, Remora in front of it, a message through it; until Ctrl-C"
	@echo "make run NAME_SERVER=host:port  Remora alone, in front of an existing cluster"
	@echo "make test                       all tests: unit, property, and real clients on a real cluster"
	@echo "make test-clients               every generation of client: directly, through Remora, through two replicas"
	@echo "make test-faults                brokers and name servers that are killed, frozen and gone"
	@echo "make test-abuse                 attacks, each request code and each limit among them, and what others notice of them"
	@echo "make fuzz                       made-up input for a minute each for all that reads what peers write; SECONDS=n TARGET=name"
	@echo "make check-dependencies         licences and sources of dependencies, and that none is there twice"
	@echo "make chaos                      two replicas and two brokers that are killed and frozen for five minutes, and a ledger"
	@echo "make judge                      ten million headers, beside the decoders of real brokers"
	@echo "make check-compose              what the compose file runs, as processes, under load"
	@echo "make bench                      Remora beside its peers; benches/README.md tells of PART and ARGS"
	@echo "LISTEN=host:port                where Remora listens with make run (by default a free port of 127.0.0.1 from 8080 on)"

run:
	@integration-tests/scripts/run.sh '$(or $(LISTEN),default)' '$(NAME_SERVER)'

# The newest Java client and 4.9.3, each feature through Remora, and directly where that fails; Go on both ways.
test: java go haproxy prometheus
	cargo test --workspace --no-fail-fast

# What the quick run of `make test` leaves out: all versions, Python, and a third way, through two replicas behind HAProxy.
# Each suite ends with its table.
test-clients: java go haproxy
	REMORA_IT_CLIENTS=all REMORA_IT_REPLICAS=2 cargo test --package integration-tests --no-fail-fast \
		--test java_versions --test go_client --test python_client --test replicas --test acl

# Brokers and name servers of a real cluster that are killed, frozen and gone for a while.
# ONLY=part of a name runs those of that name.
test-faults: java
	REMORA_IT_FAULTS=all cargo test --package integration-tests --test broker_faults $(ONLY)

# One client, a slow network or an odd request: what healthy clients notice of each. `make test` has the quick half. It ends
# with a table. ONLY=part of a name runs those of that name.
test-abuse: java
	REMORA_IT_ABUSE=all cargo test --package integration-tests --no-fail-fast --test abuse --test half_open $(ONLY)

# Replicas killed, brokers frozen, killed and restarted, under load from real clients: nothing that was acknowledged is lost.
chaos: java haproxy
	REMORA_IT_CHAOS_SECONDS=300 cargo test --package integration-tests --test chaos

# Ten million made-up headers, read by us and by the decoders of real brokers. (`make test` tries a million.)
judge: java
	REMORA_IT_HEADERS=10000000 REMORA_IT_SEED=$${REMORA_IT_SEED:-$$(date +%s%N)} cargo test --release --package integration-tests --test judge -- --nocapture

# What the compose file runs, as processes, under load; as root.
check-compose:
	deploy/check.sh compose

# Made-up input for as long as that for each target, two at a time. It begins elsewhere each time; SEED=n begins there again.
# What it finds is kept in integration-tests/tests/fuzz/corpus.
SECONDS = 60
fuzz:
	REMORA_IT_FUZZ_SECONDS=$(SECONDS) REMORA_IT_SEED=$(or $(SEED),$$(date +%s%N)) \
		cargo test --workspace --test fuzz -- $(if $(TARGET),--exact $(TARGET))

# What CONTRIBUTING says of dependencies.
check-dependencies:
	integration-tests/scripts/check-dependencies.sh

# Measurements, each into its section of benches/RESULTS.md.
PART ?= side-by-side sinks
bench: java haproxy
	benches/scripts/install.sh setpriv=util-linux
	cargo run --release --package benches --bin bench -- $(PART) $(ARGS)

# A JDK and Maven, when they are absent.
java:
	integration-tests/scripts/install-java.sh

# Go, when it is absent. (The Python suite makes its own environment.)
go:
	integration-tests/scripts/install-go.sh

# HAProxy, which stands in front of replicas, when it is absent.
haproxy:
	integration-tests/scripts/install-haproxy.sh

# Prometheus, which one test has scrape Remora, when it is absent.
prometheus:
	benches/scripts/install.sh prometheus
