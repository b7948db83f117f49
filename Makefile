# Everything here does its own set-up on a fresh Debian machine with Rust, and shows progress.
SECONDS ?= 60
SEEDS ?= 10000
FROM ?= 0
READS ?= 10000000
RUNS ?= 10
ROUNDS ?= 100
# Servers are made and removed by the hundred, each a thousand files: in memory where there is room.
# A disk's file system looks at each file that has just gone before it makes the next.
ROOMY = [ "$$(df --output=avail -k /dev/shm | tail -1)" -gt 6000000 ] 2>/dev/null
test differ leaks backup-rounds: export TMPDIR := $(shell $(ROOMY) && echo /dev/shm || echo "$${TMPDIR:-/tmp}")
.PHONY: help setup demo release test bench suites fuzz soak differ staleness leaks failover misroute misroute-mariadb backup-rounds browser audit
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile
demo: release ## three PostgreSQL servers, the proxy, a workload, a live view (CHECK=1: scripted, no terminal)
	target/release/tidegate demo postgres $(if $(CHECK),--check)
release: setup ## target/release/tidegate
	cargo build --release --locked
test: ## everything that CI runs
	@tests/setup mariadb-test-data $$(tests/drivers/needs) $$(tests/monitoring/needs) $$(tests/container/needs)
	@tests/run
bench: setup ## beside PgBouncer and HAProxy, interleaved (ARGS=--quick; ARGS=--help)
	@tests/setup pgbouncer haproxy strace python3
	bench/run $(ARGS)
suites: setup ## other people's test suites, direct and through (ARGS="--only psycopg,asyncpg")
	@tests/setup $$(tests/suites/needs)
	@tests/suites/run $(ARGS)
fuzz: setup ## each fuzz target for SECONDS (60)
	@tests/fuzz/run $(SECONDS)
soak: setup ## the load tests of the test suite for SECONDS (60), in a release build
	@tests/soak $(SECONDS)
differ: setup ## SEEDS (10000) generated conversations from seed FROM (0) on, direct and through
	TIDEGATE_TEST_SEEDS=$(SEEDS) TIDEGATE_TEST_SEED=$(FROM) TIDEGATE_TEST_FAILURES=10 TIDEGATE_TEST_STAGES=4 \
	  cargo test --locked --workspace --test differ -- --nocapture generated
staleness: setup ## READS (10000000) reads at every level while replicas lag, restart and lose their network
	TIDEGATE_TEST_READS=$(READS) TIDEGATE_TEST_READERS=4 cargo test --release --locked --test staleness -- --nocapture
browser: setup ## the dashboard in headless Chromium, by clicks and keys
	@tests/setup chromium $$(tests/drivers/needs)
	@tests/browser/run
leaks: setup ## 200 clients with states of their own on 5 servers for SECONDS (60)
	TIDEGATE_TEST_SECONDS=$(SECONDS) cargo test --locked --workspace --test leaks -- --nocapture
failover: setup ## RUNS (10) of each failover and switchover under load: how long writes stand still
	TIDEGATE_TEST_RUNS=$(RUNS) cargo test --release --locked --test failover -- --nocapture --test-threads=1 \
	  automatic:: planned::
backup-rounds: setup ## ROUNDS (100) of workload, backup, kills and restore: what comes back was acknowledged
	TIDEGATE_TEST_ROUNDS=$(ROUNDS) cargo test --locked --workspace --test backup rounds -- --nocapture
misroute-mariadb: setup ## all statements of MariaDB's test suite, judged by real servers
	@tests/setup mariadb-test-data
	TIDEGATE_TEST_STRIDE=1 cargo test --locked --workspace --test misroute_mariadb -- --nocapture
misroute: setup ## PostgreSQL's own statements and sqlsmith's on real servers: none that writes is called a read
	@tests/setup $$(tests/suites/needs) sqlsmith
	@tests/misroute/run
audit: setup ## the crates: licences, sources, bans, known advisories (OFFLINE=1: without these)
	@tests/setup python3 python3-venv
	@OFFLINE=$(OFFLINE) tests/lint/audit
setup:
	@tests/setup
