#!/usr/bin/env bash
# The whole simulation: every call of every scenario goes wrong in every way, then SEEDS pairs of calls for each scenario.
#   sim.sh [SEEDS]; REPLAY=scenario/mode/call repeats one run and tells its story.
# Afterwards bugs are planted into the product, one at a time and only in a copy: each has to turn the simulation red.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
seeds=${1:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

simulate() { go test -count=1 -timeout 60m -v "$@" -run '^TestSimulation$' ./reconcile/sim; }

if [[ -n ${REPLAY:-} ]]; then
  COMPOSURE_SIM_REPLAY=$REPLAY simulate
  exit
fi

# plant NAME FILE OLD NEW: the text OLD, once in FILE, becomes NEW.
plant() {
  local name=$1 file=$2 old=$3 new=$4 source found verdict=red first
  source=$(<"$file")
  found=${source//"$old"/}
  if [[ $((${#source} - ${#found})) -ne ${#old} ]]; then
    echo "sim: cannot plant \"$name\": the text to be replaced is not exactly once in $file" >&2
    return 1
  fi
  printf '%s\n' "${source/"$old"/"$new"}" >"$work/mutant.go"
  printf '{"Replace": {"%s": "%s"}}\n' "$root/$file" "$work/mutant.go" >"$work/overlay.json"
  if COMPOSURE_SIM_ONLY=$only COMPOSURE_SIM_STRIDE=1 COMPOSURE_SIM_MODES=$modes simulate -overlay "$work/overlay.json" >"$work/mutant.out" 2>&1; then
    verdict=green
  elif ! grep -q '^sim: runs=' "$work/mutant.out"; then
    cat "$work/mutant.out" >&2
    echo "sim: \"$name\" does not run" >&2
    return 1
  fi
  first=$(grep -A1 -m1 'violation: ' "$work/mutant.out" | sed 's/^ *//; s/^loop_test.go:[0-9]*: //' | tr '\n' ' ' | cut -c1-180 || true)
  printf '%-44s %-6s %s\n' "$name" "$verdict" "$first"
  [[ $verdict == red ]]
}

plants() {
  local failed=0
  printf '%-44s %-6s %s\n' "planted bug" "is" "first violation"
  only=single modes=stranger-recreates plant "an undo does not ask whose a container is" internal/engine/undo.go \
    'ours := c.ID == swapped.NewID || c.Label(LabelReplaces) == swapped.Old.ID && c.Label(LabelTransaction) == swapped.Transaction' \
    'ours := true' || failed=1
  only=single modes=error-before plant "the new container starts before the old stops" internal/engine/swap.go \
    'change := []stage{stop, start, wait}' 'change := []stage{start, stop, wait}' || failed=1
  only=single modes=engine-restarts plant "the old container keeps its restart policy" internal/engine/swap.go \
    'if old.HostConfig.RestartPolicy.IsNone() {' 'if old.HostConfig.RestartPolicy.IsNone() || !s.replacement.StartFirst {' || failed=1
  only=single modes=no-lists plant "a list that fails is taken for empty" reconcile/observe.go \
    'return nil, fmt.Errorf("list containers: %w", err)' 's.All = nil' || failed=1
  only=single,order modes=crash-before,crash-after plant "it is not recorded that all is verified" reconcile/record.go \
    't.record.Phase = state.PhaseCommitting' 't.record.Phase = state.PhasePrepared' || failed=1
  return $failed
}

line_of() { grep '^sim: runs=' "$work/out" | tail -n 1; }

failed=0
COMPOSURE_SIM_STRIDE=${COMPOSURE_SIM_STRIDE:-1} COMPOSURE_SIM_SEEDS=$seeds simulate >"$work/out" 2>&1 || failed=1
if ((failed)); then grep -v '^=== \|^ *--- PASS\|^sim: ' "$work/out" || true; fi
plants || failed=1
line_of
exit $failed
