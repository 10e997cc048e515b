#!/usr/bin/env bash
# Lints every module. Arguments select steps; the default is all. Every step runs, even after one
# has failed. The Makefile passes the pinned versions of the tools.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

modules=($(scripts/modules.sh)) # names of folders here have no spaces
failed=()

# check STEP COMMAND...: runs the command and records whether it failed.
check() {
	local step=$1 began=$SECONDS
	shift
	if "$@"; then
		echo "ok   $step ($((SECONDS - began))s)"
	else
		echo "FAIL $step ($((SECONDS - began))s)"
		failed+=("$step")
	fi
}

# within DIR COMMAND...
within() (
	cd "$1"
	shift
	"$@"
)

# each STEP COMMAND...: runs check in every module.
each() {
	local step=$1 dir
	shift
	for dir in "${modules[@]}"; do
		check "$step $dir" within "$dir" "$@"
	done
}

formatted() {
	local files
	files=$(go run "$GOFUMPT" -l .) || return
	[ -z "$files" ] || {
		echo "not formatted; run \`make format\`:"
		echo "$files"
		return 1
	}
}

for step in "${@:-all}"; do
	case $step in
	format | vet | staticcheck | golangci | tidy | api | readme | all) ;;
	*)
		echo "lint: no step $step; there are format, vet, staticcheck, golangci, tidy, api, readme" >&2
		exit 2
		;;
	esac
done

for step in ${*:-format vet staticcheck golangci tidy api readme}; do
	case $step in
	format) check format formatted ;;
	vet) each vet go vet ./... ;;
	staticcheck) each staticcheck go run "$STATICCHECK" ./... ;;
	golangci) each golangci-lint go run "$GOLANGCI_LINT" run --config "$root/.golangci.yml" --allow-serial-runners ./... ;;
	tidy) each "go mod tidy" go mod tidy -diff ;;
	api) check api go run ./internal/tools/apilist -check $(scripts/modules.sh public) ;;
	readme) check readme go run ./internal/tools/readmecheck ;;
	esac
done

if [ ${#failed[@]} -gt 0 ]; then
	printf 'lint: failed: %s\n' "${failed[@]}"
	exit 1
fi
echo "lint: clean"
