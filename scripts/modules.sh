#!/usr/bin/env bash
# Prints the directories of all modules in the tree, the root first: those with a go.mod, except in
# testdata, vendor and hidden directories. There is no other list of modules, so a new one needs no
# entry anywhere.
set -euo pipefail
cd "$(dirname "$0")/.."

find . \( -name testdata -o -name vendor -o -name node_modules -o -name '.?*' -o -name '_*' \) -prune \
	-o -name go.mod -exec dirname {} \; | LC_ALL=C sort
