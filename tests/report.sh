#!/bin/bash
# Runs a test program, passes its output on, and closes with one line
#	NAME: N passed, N failed[, N skipped]
# which .ci/run adds up.  Counts TAP lines; or believes a last line of the
# program's own of the form "N passed, N failed"; or else counts the program
# as one test by its exit code.
#
# usage: report.sh NAME COMMAND [ARG...]
set -u
name=$1
shift
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT

"$@" 2>&1 </dev/null | tee "$log"
rc=${PIPESTATUS[0]}

awk -v name="$name" -v rc="$rc" '
	/^ok .*# skip/			{ skipped++; next }
	/^ok( |$)/			{ passed++ }
	/^not ok( |$)/			{ failed++ }
	/^[0-9]+ passed, [0-9]+ failed$/ { own_passed = $1; own_failed = $3; own = 1 }
	END {
		if (!passed && !failed && own) {
			passed = own_passed
			failed = own_failed
		}
		if (!passed && !failed && !skipped)
			passed = rc == 0
		if (rc && !failed)
			failed = 1
		printf "%s: %d passed, %d failed", name, passed, failed
		if (skipped)
			printf ", %d skipped", skipped
		print ""
		exit failed > 0
	}' "$log"
