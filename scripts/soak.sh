#!/usr/bin/env bash
# Long tests: every test whose name matches SOAK_RUN with SOAK=1 set, which lengthens those that
# check it, then every fuzz target for FUZZTIME. `make test` runs the same tests without SOAK, and
# the seeds of the fuzz targets.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${SOAK_RUN:=Soak|Fuzz}" "${SOAK_TIMEOUT:=60m}" "${FUZZTIME:=1m}"
export SOAK=1

scripts/test.sh -timeout "$SOAK_TIMEOUT" -run "$SOAK_RUN" ./...

modules=($(scripts/modules.sh)) # names of folders here have no spaces
for dir in "${modules[@]}"; do
	# go test -list prints a package's targets, then a line with the package.
	targets=$(cd "$dir" && go test -list '^Fuzz' ./... |
		awk '/^Fuzz/ { names = names " " $1 } /^ok/ { n = split(names, a); for (i = 1; i <= n; i++) print $2, a[i]; names = "" }')
	while read -r package target; do
		[ -n "$target" ] || continue
		echo "=== fuzz $package $target for $FUZZTIME"
		(cd "$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" "$package" </dev/null)
	done <<<"$targets"
done
