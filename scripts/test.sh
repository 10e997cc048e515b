#!/usr/bin/env bash
# Tests every module, with the race detector if it can be had. Arguments go to go test; without any, all packages are tested.
set -euo pipefail
cd "$(dirname "$0")/.."

race=-race
if ! why=$(scripts/race.sh); then
	race=
	echo "test: without the race detector, it doesn't work here: $why" >&2
	case "${CI:-}" in 1 | t | T | true | TRUE | True) exit 1 ;; esac
fi

modules=($(scripts/modules.sh)) # names of folders here have no spaces
# Go's limit of 10 minutes for a package is for a machine that has nothing else to do; this one only ends what hangs.
go run ./internal/tools/testsummary "${modules[@]}" -- $race -timeout 30m "${@:-./...}"
