# make test: everything that CI runs, set-up included. make release: target/release/tidegate.
.PHONY: setup test release
setup:
	@tests/setup
release: setup
	cargo build --release
test: setup
	@tests/run
