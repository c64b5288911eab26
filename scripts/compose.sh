#!/usr/bin/env bash
# Prints the path of a docker compose that can be run by itself: COMPOSURE_COMPOSE, else the installed plugin or docker-compose,
# else version 2.40.3 built from the Go module proxy into .cache, once. Progress goes to stderr.
set -euo pipefail

module=github.com/docker/compose/v2
version=v2.40.3

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
built=$root/.cache/compose/$version/docker-compose

say() { echo "compose: $*" >&2; }

# usable PATH: 2.20 or later; 5.1 cannot talk to engines below API 1.44.
usable() {
  local number
  number=$("$1" version --short 2>/dev/null) || return 1
  number=${number#v}
  [[ $number =~ ^([0-9]+)\.([0-9]+)\. ]] || return 1
  local major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
  ((major > 2 || (major == 2 && minor >= 20))) && ((major != 5 || minor != 1))
}

installed() {
  command -v docker >/dev/null &&
    docker info --format '{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{println .Path}}{{end}}{{end}}' 2>/dev/null
  command -v docker-compose || true
}

# go install refuses the module because of its exclude directives, so it is built in a copy of its own tree.
build() {
  local work=$1 source started=$SECONDS
  say "no usable docker compose found; building $version, this takes a minute or two"
  cd "$work"
  source=$(GOFLAGS='' GOWORK=off go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
  cp -R "$source" source
  chmod -R u+w source
  cd source
  say "compiling"
  CGO_ENABLED=0 GOFLAGS='' GOWORK=off go build -mod=mod -trimpath -ldflags "-s -w -X $module/internal.Version=$version" -o "$work/docker-compose" ./cmd
  say "built in $((SECONDS - started)) s: $built"
}

main() {
  local candidate
  if [[ -n ${COMPOSURE_COMPOSE:-} ]]; then
    usable "$COMPOSURE_COMPOSE" || { say "COMPOSURE_COMPOSE=$COMPOSURE_COMPOSE is not docker compose 2.20 or later (5.1 excepted)"; exit 1; }
    echo "$COMPOSURE_COMPOSE"
    return
  fi
  while read -r candidate; do
    if [[ -n $candidate ]] && usable "$candidate"; then
      echo "$candidate"
      return
    fi
  done < <(installed)
  if ! usable "$built"; then
    mkdir -p "$(dirname "$built")"
    work=$(mktemp -d "$root/.cache/compose/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    (build "$work")
    mv -f "$work/docker-compose" "$built"
  fi
  echo "$built"
}

main
