#!/usr/bin/env bash
# The quickstart from start to finish on a real Docker Engine: the symptom, composure diff, composure apply, the symptom gone,
# nothing left to do for docker compose. Every claim is checked; the first that does not hold ends the demo with exit 1.
# It works on a copy in a temporary folder, under a project name of its own, and removes what it made.
# Without an engine it plays the same loop on the in-memory engine, each line marked SIMULATED.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
composure=$root/bin/composure
image=composure-quickstart:latest
project=composure-demo-$$
watch=10 # seconds: without the variables nothing happens in them, with the variables it does

# What the shell sets would override the files.
unset BEAT_POLL_INTERVAL REDIS_URL "${!CELERY_BEAT_@}" "${!COMPOSE_@}"

seconds() { echo "${EPOCHREALTIME/[^0-9]/.}"; }
begin=$(seconds)
since() { awk -v a="$1" -v b="$(seconds)" 'BEGIN { printf "%.1f", b - a }'; }
step() { printf '\n[%5s s] %s\n' "$(since "$begin")" "$*"; }
note() { printf '          %s\n' "$*"; }
fail() {
  printf '\n[%5s s] FAILED: %s\n' "$(since "$begin")" "$*" >&2
  exit 1
}

# run EXIT COMMAND...: shows the command and what it prints, and keeps that in $work/output; its exit code has to be EXIT.
# Where apply repeats the plan that diff has just shown, one line stands for it.
run() {
  local want=$1 got=0
  shift
  local shown="$*"
  shown=${shown/#"$docker_compose"/docker compose}
  note "\$ ${shown/#"$composure"/composure}"
  "$@" >"$work/output" 2>&1 || got=$?
  sed -e "${abridge:-}" -e 's/^/          | /' "$work/output"
  [[ $got -eq $want ]] || fail "exit code $got, expected $want"
}

up() { run 0 "$docker_compose" -p "$project" -f compose.yaml up -d; }

# containers prints "SERVICE ID STATUS" for each container of the project, whatever its state.
containers() {
  docker ps --all --filter "label=com.docker.compose.project=$project" \
    --format '{{.Label "com.docker.compose.service"}} {{.ID}} {{.State}}' | sort
}
show_containers() { containers | while read -r line; do note "$line"; done; }
id_of() { containers | awk -v service="$1" '$1 == service { print $2 }'; }

# until_true SECONDS COMMAND...: repeats the command until it succeeds.
until_true() {
  local limit=$1 start=$SECONDS
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS - start < limit)) || return 1
    sleep 0.2
  done
}

request() { docker exec "$(id_of app)" /shop request "$1" "http://127.0.0.1:8000$2" ${3:+"$3"}; }
healthy() { request GET /health; }
polled() { docker logs "$(id_of beat)" 2>&1 | grep -q 'Synced'; }
ran() { [[ $(request GET "/schedules/$1/history") == *afterMs* ]]; }

# create NAME: makes a schedule, shows the answer and sets $id.
create() {
  local answer
  answer=$(request POST /schedules "{\"name\":\"$1\"}")
  note "POST /schedules {\"name\":\"$1\"}"
  note "| $answer"
  id=$(sed -n 's/.*"id":"\([0-9]*\)".*/\1/p' <<<"$answer")
  [[ -n $id ]] || fail "the answer holds no id"
}

cleanup() {
  local code=$?
  trap - EXIT
  trap '' INT TERM
  step "cleaning up"
  if [[ $started -eq 1 ]]; then
    "$docker_compose" -p "$project" -f "$work/quickstart/compose.yaml" down --volumes --remove-orphans --timeout 5 \
      >"$work/output" 2>&1 || cat "$work/output" >&2
  fi
  docker rm -f "composure-lock-$project" >/dev/null 2>&1 || true # only an apply that was killed leaves it
  local made
  for made in "${images[@]}"; do docker rmi "$made" >/dev/null 2>&1 || true; done
  rm -rf "$work"
  exit "$code"
}

simulate() {
  echo "No Docker Engine answers, so nothing below is real: the same loop on the in-memory engine."
  cd "$root"
  exec go run ./examples/quickstart/simulated
}

prepare() {
  step "looking for a Docker Engine and docker compose"
  docker_compose=$("$root/scripts/compose.sh")
  local name
  for name in "$image" "composure-probe:$(sha256sum "$composure" | cut -c 1-12)"; do
    docker image inspect "$name" >/dev/null 2>&1 || images+=("$name")
  done
  note "Docker Engine $(docker version --format '{{.Server.Version}}'), docker compose $("$docker_compose" version --short), $("$composure" version | head -n 1)"
  cp -R "$root/examples/quickstart" "$work/quickstart"
  cd "$work/quickstart"
  step "building $image from scratch: one static program that plays redis, app and beat"
  "$root/examples/quickstart/build.sh" "$image"
  step "starting it"
  started=1
  up
  until_true 30 healthy || fail "app does not answer"
  until_true 30 polled || fail "beat does not poll"
  show_containers
}

symptom() {
  step "THE SYMPTOM: a schedule made just after beat's poll"
  create "report before"
  local start=$SECONDS
  while ((SECONDS - start < watch)); do
    [[ $(request GET "/schedules/$id/history") == "[]" ]] || fail "the schedule ran; it should have waited for the next poll"
    sleep 1
  done
  note "GET /schedules/$id/history is still [] after $watch s, and stays so until beat's next poll: up to 60 s"
}

mend() {
  local before
  step "WHAT IS WRONG: composure diff changes nothing and exits 1"
  before=$(containers)
  run 1 "$composure" diff --policy policy.yaml -f compose.yaml -p "$project" --state-dir ../state
  cmp -s compose.yaml "$root/examples/quickstart/compose.yaml" || fail "diff wrote to compose.yaml"
  [[ $(containers) == "$before" ]] || fail "diff touched a container"

  step "MENDING IT: composure apply"
  local abridge='/^service /,/^Plan: /c\          | (the plan, as above)'
  run 0 "$composure" apply --yes --policy policy.yaml -f compose.yaml -p "$project" --state-dir ../state
  note "before:"
  while read -r line; do note "  $line"; done <<<"$before"
  note "after:"
  containers | while read -r line; do note "  $line"; done
  swapped app "$before"
  swapped beat "$before"
  [[ $before == *"redis $(id_of redis) "* ]] || fail "redis was replaced although nothing was wrong with it"
  [[ $(containers | wc -l) -eq 3 ]] || fail "there are not exactly three containers"
  if diff "$root/examples/quickstart/compose.yaml" compose.yaml | grep -q '^<'; then fail "compose.yaml lost a line"; fi
  note "compose.yaml: $(diff "$root/examples/quickstart/compose.yaml" compose.yaml | grep -c '^>') lines added, none changed or removed"
}

# swapped SERVICE BEFORE: fails unless the service has one container and it is a new one.
swapped() {
  local now
  now=$(id_of "$1")
  [[ $now != *$'\n'* && $2 != *"$1 $now "* ]] || fail "$1 was not replaced"
}

cured() {
  step "THE SYMPTOM GONE: another schedule"
  local start
  start=$(seconds)
  create "report after"
  until_true "$watch" ran "$id" || fail "no history within $watch s"
  note "GET /schedules/$id/history after $(since "$start") s:"
  note "| $(request GET "/schedules/$id/history")"
}

settled() {
  local before
  before=$(containers)
  step "NOTHING LEFT TO DO: docker compose up -d"
  up
  [[ $(grep -c ' Running' "$work/output") -eq 3 ]] || fail "docker compose does not call all three Running"
  if grep -qE 'Recreate|Creat|Start' "$work/output"; then fail "docker compose did something"; fi
  [[ $(containers) == "$before" ]] || fail "docker compose replaced a container"
  note "the container ids are unchanged"

  step "NOTHING LEFT TO DO: composure apply, again"
  run 0 "$composure" apply --yes --policy policy.yaml -f compose.yaml -p "$project" --state-dir ../state
  [[ $(containers) == "$before" ]] || fail "the second apply touched a container"
  note "the container ids are unchanged"
}

if ! command -v docker >/dev/null || ! docker version >/dev/null 2>&1; then simulate; fi

images=() # those that were not there before
started=0
work=$(mktemp -d)
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
prepare
symptom
mend
cured
settled
step "every claim held"
