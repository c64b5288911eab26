#!/usr/bin/env bash
# The whole simulation: every call of every scenario goes wrong in every way, then SEEDS pairs of calls for each scenario; and then
# composure run lives through DAYS days (7) for each of SEEDS seeds, ONLY=days leaves the rest out.
#   sim.sh [SEEDS]; REPLAY=scenario/mode/call, or REPLAY=days/SEED, repeats one run and tells its story.
# Afterwards bugs are planted into the product, one at a time and only in a copy: each has to turn the simulation red.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
seeds=${1:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

simulate() { go test -count=1 -timeout 60m -v "$@" -run '^TestSimulation$' ./reconcile/sim; }

# live DAYS FROM-TO [ARGUMENTS]: each seed lives through so many days.
live() { COMPOSURE_DAYS=$1 COMPOSURE_DAYS_SEEDS=$2 go test -count=1 -timeout 4h -v "${@:3}" -run '^TestDays$' ./controller/sim; }

if [[ ${REPLAY:-} == days/* ]]; then
  live "${DAYS:-7}" "${REPLAY#days/}"
  exit
fi
if [[ -n ${REPLAY:-} ]]; then
  COMPOSURE_SIM_REPLAY=$REPLAY simulate
  exit
fi

# plant NAME FILE OLD NEW: the text OLD, once in FILE, becomes NEW. $found is the run that has to turn red.
plant() {
  local name=$1 file=$2 old=$3 new=$4 source rest verdict=red first
  source=$(<"$file")
  rest=${source//"$old"/}
  if [[ $((${#source} - ${#rest})) -ne ${#old} ]]; then
    echo "sim: cannot plant \"$name\": the text to be replaced is not exactly once in $file" >&2
    return 1
  fi
  printf '%s\n' "${source/"$old"/"$new"}" >"$work/mutant.go"
  printf '{"Replace": {"%s": "%s"}}\n' "$root/$file" "$work/mutant.go" >"$work/overlay.json"
  if "$found" -overlay "$work/overlay.json" >"$work/mutant.out" 2>&1; then
    verdict=green
  elif ! grep -q '^\(sim\|days\): ' "$work/mutant.out"; then
    cat "$work/mutant.out" >&2
    echo "sim: \"$name\" does not run" >&2
    return 1
  fi
  first=$(grep -A1 -m1 'violation: ' "$work/mutant.out" | sed 's/^ *//; s/^[a-z]*_test.go:[0-9]*: //' | tr '\n' ' ' | cut -c1-180 || true)
  printf '%-50s %-6s %s\n' "$name" "$verdict" "$first"
  [[ $verdict == red ]]
}

by_simulation() { COMPOSURE_SIM_ONLY=$only COMPOSURE_SIM_STRIDE=1 COMPOSURE_SIM_MODES=$modes simulate "$@"; }
by_days() { live 1 "$bad" -failfast "$@"; }

plants() {
  local failed=0 found=by_simulation
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

# Each is found within a day of one of the seeds.
plants_days() {
  local failed=0 found=by_days bad=${BAD:-1-6}
  plant "the daemon does not wait for who is at a project" controller/gate.go \
    'settleFor = 3 * time.Second' 'settleFor = 3 * time.Nanosecond' || failed=1
  plant "the daemon forgets what was undone" controller/gate.go \
    'case !failed(record) || !begunFrom(record, now):' 'case true || !begunFrom(record, now):' || failed=1
  plant "the daemon takes itself for a person" controller/loop.go \
    'l.policies.inForce(), l.view.Reader(name), true, l.self' 'l.policies.inForce(), l.view.Reader(name), false, l.self' || failed=1
  plant "the daemon does not obey a suspension" controller/gate.go \
    'case mark != nil:' 'case mark != nil && mark.Reason == "":' || failed=1
  plant "a policy that breaks is forgotten" controller/policies.go \
    'if errors.Is(err, fs.ErrNotExist) {' 'if err != nil {' || failed=1
  plant "a project that is gone is told of" controller/loop.go \
    'l.statuses.forget(name)' '_ = name' || failed=1
  plant "what fails is told with its secrets" reconcile/apply.go \
    't.failure = t.verify.redactor.String(failed.Error())' 't.failure = failed.Error()' || failed=1
  plant "nothing but the list is looked at again" controller/wake.go \
    'full := round%fullEvery == 0' 'full := round < 0' || failed=1
  plant "events that broke off are not followed again" controller/wake.go \
    'sleep(ctx, pause.NextBackOff())' 'sleep(ctx, 100_000*pause.NextBackOff())' || failed=1
  return $failed
}

line_of() { grep '^sim: runs=' "$work/out" | tail -n 1; }

failed=0
if [[ ${ONLY:-} != days ]]; then
  COMPOSURE_SIM_STRIDE=${COMPOSURE_SIM_STRIDE:-1} COMPOSURE_SIM_SEEDS=$seeds simulate >"$work/out" 2>&1 || failed=1
  if ((failed)); then grep -v '^=== \|^ *--- PASS\|^sim: ' "$work/out" || true; fi
fi
live "${DAYS:-7}" "1-$seeds" >"$work/days.out" 2>&1 || { failed=1 && grep -v '^=== \|^ *--- PASS\|^days: ' "$work/days.out" || true; }
grep '^days: ' "$work/days.out" || true
printf '%-50s %-6s %s\n' "planted bug" "is" "first violation"
if [[ ${ONLY:-} != days ]]; then plants || failed=1; fi
plants_days || failed=1
if [[ ${ONLY:-} != days ]]; then line_of; fi
exit $failed
