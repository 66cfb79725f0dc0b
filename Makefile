# Each target is one command, and the same without make: `.ci/make test`.
# PYTHON=python3.12 chooses the interpreter; otherwise the first that is new enough.

export PYTHON

.PHONY: demo test test-all check fault sim bench docs clean
.DEFAULT_GOAL := test

# A real server and two clients on examples/: failures captured, and run again.
demo:
	@.ci/make demo

# The tests, without the slow campaigns of faults.
test:
	@.ci/make test

# The same under each of Python 3.10 to 3.14 that is on this machine.
test-all:
	@.ci/make test-all

# Style, types, the manual, and the contracts between text, code and pages.
check:
	@.ci/make check

# The slow campaigns: real processes, real signals.
fault:
	@.ci/make fault

# The farm in simulated time, a minute of new seeds; `.ci/make sim --help` shows how to replay one.
sim:
	@.ci/make sim

# tasks/s and latencies beside other programs; writes a table.
bench:
	@.ci/make bench

# Man pages and the reference from the verbs' own texts, and the manual in build/docs.
docs:
	@.ci/make docs

# Everything that the other targets made.
clean:
	@.ci/make clean
