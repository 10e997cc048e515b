#!/usr/bin/env bash
# Prints the directories of all modules in the tree, the root's first. A module is where a go.mod is; testdata, vendored code
# and hidden folders don't count. It's the only list of modules there is: a new module needs no entry anywhere.
set -euo pipefail
cd "$(dirname "$0")/.."

find . \( -name testdata -o -name vendor -o -name node_modules -o -name '.?*' -o -name '_*' \) -prune \
	-o -name go.mod -exec dirname {} \; | LC_ALL=C sort
