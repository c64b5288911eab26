#!/usr/bin/env bash
# Measures composure run as a process of its own, and prints tables: bench.sh [GO TEST ARGUMENTS], such as -run TestLatency. It takes
# about a quarter of an hour on a machine that has nothing else to do. docs/benchmarks.md says what the figures mean.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
scripts/engine.sh
export COMPOSURE_BENCH=full COMPOSURE_REQUIRE_ENGINE=1
echo "bench: $(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg), $(go version | cut -d ' ' -f 3), Docker Engine $(docker version --format '{{.Server.Version}}')"
go test -count=1 -timeout 90m -v "$@" ./internal/bench 2>&1 | awk -v required=1 -f scripts/test.awk
