#!/usr/bin/env bash
# Plays everything in internal/torture on a real Docker Engine: torture.sh [GO TEST ARGUMENTS], such as -run TestKill. It takes
# about 25 minutes. How often each thing is done is changed by the variables that the package names: COMPOSURE_KILLS, COMPOSURE_DAEMON_KILLS and
# so on.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
scripts/engine.sh
COMPOSURE_COMPOSE=$(scripts/compose.sh)
export COMPOSURE_COMPOSE COMPOSURE_TORTURE=full COMPOSURE_REQUIRE_ENGINE=1
echo "torture: Docker Engine $(docker version --format '{{.Server.Version}}'), docker compose $("$COMPOSURE_COMPOSE" version --short)"
go test -count=1 -timeout 45m -v "$@" ./internal/torture 2>&1 | awk -v required=1 -f scripts/test.awk
go test -count=1 -timeout 15m -v -run 'TestContainer|TestSocketProxy' ./examples/quickstart 2>&1 | awk -v required=1 -f scripts/test.awk
