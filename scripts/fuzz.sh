#!/usr/bin/env bash
# Runs every fuzz target of every module for FUZZTIME, FUZZJOBS of them at a time, also after one has
# failed. `make test` runs their seeds, and then this with two jobs if FUZZTIME is set.
set -euo pipefail
cd "$(dirname "$0")/.."

export FUZZTIME=${FUZZTIME:-1m}
: "${FUZZJOBS:=1}"

# targets DIR: prints the folder, the package and the name of each target of the module in it.
targets() {
	local package file
	(cd "$1" && go list -f '{{range .TestGoFiles}}{{$.ImportPath}} {{$.Dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$.ImportPath}} {{$.Dir}}/{{.}}
{{end}}' ./...) | while read -r package file; do
		[ -z "$file" ] || sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$1 $package \1|p" "$file"
	done
}

# out_of_time LOG: succeeds if the run failed only because its time was over. Go before 1.27
# sometimes takes that for a failure, although no input has failed.
out_of_time() {
	grep -v '^fuzz: elapsed:' "$1" | tr -s '[:space:]' ' ' |
		grep -Eq '^--- FAIL: [^ ]+ \([0-9.]+s\) context deadline exceeded FAIL exit status 1 FAIL [^ ]+ [0-9.]+s (FAIL )?$'
}

# run DIR PACKAGE TARGET: runs a target, and adds its name to a file if it fails.
run() {
	local log
	log=$(mktemp -p "$logs")
	if (cd "$1" && go test -vet=off -run '^$' -fuzz "^$3\$" -fuzztime "$FUZZTIME" "$2") </dev/null >"$log" 2>&1 ||
		out_of_time "$log"; then
		echo "ok   fuzz $2 $3: $(grep -o 'execs: [0-9]*' "$log" | tail -1)"
	else
		cat "$log"
		echo "FAIL fuzz $2 $3"
		echo "$2 $3" >>"$logs/failed"
	fi
}

logs=$(mktemp -d)
export logs
trap 'rm -rf "$logs"' EXIT
export -f run out_of_time
scripts/modules.sh | while read -r dir; do targets "$dir"; done >"$logs/targets" # names of folders here have no spaces
xargs -P "$FUZZJOBS" -L 1 bash -c 'run "$@"' run <"$logs/targets"

if [ -s "$logs/failed" ]; then
	sed 's/^/fuzz: failed: /' "$logs/failed"
	exit 1
fi
echo "fuzz: $(wc -l <"$logs/targets") targets for $FUZZTIME each, no failing input"
