#!/usr/bin/env bash
# Exits 0 when a Docker Engine answers. With CI=true or COMPOSURE_INSTALL_ENGINE=1, on Debian as root, it installs and starts
# one when there is none; anywhere else it says what is missing and exits 1.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
log=$root/.cache/dockerd.log

say() { echo "engine: $*" >&2; }

answers() { command -v docker >/dev/null && docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# Debian 13 moved the docker command into a package of its own.
install() {
  say "installing docker.io"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  local packages=(docker.io)
  if [[ -n $(apt-cache search --names-only '^docker-cli$') ]]; then packages+=(docker-cli); fi
  apt-get install -y -qq --no-install-recommends "${packages[@]}" iptables ca-certificates >&2
}

start() {
  mkdir -p "$(dirname "$log")"
  if [[ -d /run/systemd/system ]]; then
    systemctl start docker
  else
    setsid dockerd >"$log" 2>&1 </dev/null &
  fi
  say "starting the engine"
  local _
  for _ in {1..120}; do
    if answers; then return; fi
    sleep 0.5
  done
  say "the engine did not come up within 60 s; its last lines:"
  tail -n 20 "$log" >&2 || true
  return 1
}

if answers; then exit 0; fi
if [[ -n ${DOCKER_HOST:-} ]]; then
  say "no answer from DOCKER_HOST=$DOCKER_HOST"
  exit 1
fi
if [[ ${CI:-} != true && ${COMPOSURE_INSTALL_ENGINE:-} != 1 ]]; then
  say "no Docker Engine answers (COMPOSURE_INSTALL_ENGINE=1 installs one, on Debian as root)"
  exit 1
fi
if [[ ! -f /etc/debian_version || $EUID -ne 0 ]]; then
  say "no Docker Engine answers, and installing one needs Debian and root"
  exit 1
fi
if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then install; fi
if ! answers; then start; fi
