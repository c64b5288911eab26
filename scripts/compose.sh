#!/usr/bin/env bash
# Prints the path of a docker compose that can be run by itself. Without an argument: COMPOSURE_COMPOSE, else the installed plugin or
# docker-compose, else version 2.40.3. With a version (scripts/compose.sh v5.6.0): exactly that one. What is not there is built from
# the Go module proxy into .cache/compose/VERSION, once. Progress goes to stderr.
set -euo pipefail

default=v2.40.3

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

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
  local version=$1 work=$2 module=github.com/docker/compose/${1%%.*} source started=$SECONDS
  say "building $version, this takes a minute or two"
  cd "$work"
  source=$(GOFLAGS='' GOWORK=off go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
  cp -R "$source" source
  chmod -R u+w source
  cd source
  say "compiling"
  CGO_ENABLED=0 GOFLAGS='' GOWORK=off go build -p 2 -mod=mod -trimpath -ldflags "-s -w -X $module/internal.Version=$version" -o "$work/docker-compose" ./cmd
  say "built in $((SECONDS - started)) s"
}

# exactly VERSION: prints its path, after building it when it is not there.
exactly() {
  local version=$1 built=$root/.cache/compose/$1/docker-compose
  [[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+$ ]] || { say "$version is not a version such as $default"; exit 1; }
  if ! usable "$built"; then
    mkdir -p "$(dirname "$built")"
    work=$(mktemp -d "$root/.cache/compose/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    (build "$version" "$work")
    mv -f "$work/docker-compose" "$built"
  fi
  echo "$built"
}

main() {
  local candidate
  if [[ -n ${1:-} ]]; then
    exactly "$1"
    return
  fi
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
  exactly "$default"
}

main "$@"
