#!/usr/bin/env bash
# Long tests: every test whose name matches SOAK_RUN with SOAK=1 set, which lengthens those that
# check it, then every fuzz target (scripts/fuzz.sh). `make test` runs the same tests without SOAK, and
# the seeds of the fuzz targets. Shards$ and InACluster$ are the contract tests of redisstore.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${SOAK_RUN:=Soak|Fuzz|Shards$|InACluster$}" "${SOAK_TIMEOUT:=3h}"
export SOAK=1

scripts/test.sh -timeout "$SOAK_TIMEOUT" -run "$SOAK_RUN" ./...

scripts/fuzz.sh
