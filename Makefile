# make test: everything that CI runs, set-up included. make release: target/release/tidegate.
.PHONY: setup test release soak
setup:
	@tests/setup
release: setup
	cargo build --release
test: setup
	@tests/run
# Minutes of load with every answer checked, and results of 2 GiB.
soak: setup
	TIDEGATE_SOAK_SECONDS=60 TIDEGATE_SOAK=1 cargo test --test pool -- load:: memory::
