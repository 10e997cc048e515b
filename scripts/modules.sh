#!/usr/bin/env bash
# Prints the directories of all modules in the tree, the root first: those with a go.mod, except in
# testdata, vendor and hidden directories. There is no other list of modules, so a new one needs no
# entry anywhere.
#
# With the argument public it prints only those that applications import: not those for tests,
# benchmarks and examples.
set -euo pipefail
cd "$(dirname "$0")/.."

find . \( -name testdata -o -name vendor -o -name node_modules -o -name '.?*' -o -name '_*' \) -prune \
	-o -name go.mod -exec dirname {} \; | LC_ALL=C sort |
	if [ "${1:-}" = public ]; then grep -vE '^\./(bench|compat|example)(/|$)|test$'; else cat; fi
