#!/usr/bin/env bash
# Tests every module, with the race detector if it is available and the module's go.mod doesn't say
# "// norace:". Arguments are passed to go test; the default is all packages, and if FUZZTIME is set
# then every fuzz target for that time.
set -euo pipefail
cd "$(dirname "$0")/.."

race=-race
if ! why=$(scripts/race.sh); then
	race=
	echo "test: without the race detector: $why" >&2
	case "${CI:-}" in 1 | t | T | true | TRUE | True) exit 1 ;; esac
fi

# A program with the race detector sleeps a second before it exits, and the tests run hundreds of them.
export GORACE="atexit_sleep_ms=20 ${GORACE:-}"

modules=($(scripts/modules.sh)) # names of folders here have no spaces
# Go's default limit of 10 minutes for a package is too short on a busy machine; this one only ends
# tests that hang. It is `make lint` that vets.
go run ./internal/tools/testsummary "${modules[@]}" -- $race -vet=off -ldflags=-w -timeout 30m "${@:-./...}"

if [ $# = 0 ] && [ -n "${FUZZTIME:-}" ]; then # some five minutes on two cores, most of it to build the targets
	FUZZJOBS=2 scripts/fuzz.sh
fi
