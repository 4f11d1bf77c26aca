# The four commands: make demo, make test, make check, make bench. Each sets up what it needs.
# `make demo ONCE=1` ends by itself; `make demo` stays up and prints the viewer's address last.

BIN := .venv/bin
# Debian's DCMTK, not pynetdicom's scripts of the same names, must be found by the tests;
# and of the thousand processes that they start none should compile our modules anew
TESTS := PYTHONDONTWRITEBYTECODE= PATH="/usr/bin:$$PATH" $(BIN)/python -m pytest

.PHONY: setup demo test test-long check bench offline

setup:
	@.ci/setup

demo: setup
	@$(BIN)/todoke demo $(if $(ONCE),--once)

test: setup
	@.ci/machine
	@$(TESTS) -n 3 --dist loadfile --no-loadscope-reorder -m "not slow" $(ARGS)

test-long: setup
	@.ci/machine
	@$(TESTS) --timeout 1800 $(ARGS)

check: setup
	@.ci/check

bench: setup
	@$(BIN)/todoke bench $(ARGS)

offline: setup
	@.ci/offline
