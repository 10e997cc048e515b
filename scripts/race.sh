#!/usr/bin/env bash
# Succeeds if programs can be built with the race detector, and prints the reason if not. On most
# systems it needs a C compiler and the C library's headers.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf 'module probe\n\ngo 1.25.0\n' >go.mod
printf 'package main\n\nfunc main() {}\n' >main.go
GOWORK=off go build -race -o /dev/null . 2>&1
