#!/usr/bin/env bash
# Runs every Go test once: test.sh [GO TEST ARGUMENTS], by default the whole tree.
#
# One run serves as unit, race and engine tests: the race detector watches all of them, and a test that needs a Docker Engine
# skips itself when none answers. With CI=true or COMPOSURE_INSTALL_ENGINE=1 an engine is installed if need be and
# COMPOSURE_REQUIRE_ENGINE=1 is set: a test skipped for want of an engine is then red.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
if [[ $# -eq 0 ]]; then set -- ./...; fi

if [[ ${CI:-} == true || ${COMPOSURE_INSTALL_ENGINE:-} == 1 ]]; then export COMPOSURE_REQUIRE_ENGINE=1; fi

if scripts/engine.sh; then
  COMPOSURE_COMPOSE=$(scripts/compose.sh)
  export COMPOSURE_COMPOSE
  echo "engine tests: Docker Engine $(docker version --format '{{.Server.Version}}'), docker compose $("$COMPOSURE_COMPOSE" version --short)"
elif [[ ${COMPOSURE_REQUIRE_ENGINE:-} == 1 ]]; then
  echo "engine tests: an engine is required and there is none" >&2
  exit 1
else
  echo "engine tests: none will run, they are listed at the end"
fi

race=(-race)
if ! command -v "$(go env CC)" >/dev/null; then
  echo "race detector: it needs a C compiler, and there is no $(go env CC)" >&2
  if [[ ${CI:-} == true ]]; then exit 1; fi
  race=()
fi

# Engine tests are about more than their own files, so nothing comes from the test cache. They wait for containers more than they
# compute, so a package and some tests more than there are cores run side by side.
go test "${race[@]}" -count=1 -p "$(($(nproc) + 1))" -parallel "$(($(nproc) + 2))" -timeout 9m -v "$@" 2>&1 |
  awk -v required="${COMPOSURE_REQUIRE_ENGINE:-0}" -f scripts/test.awk
