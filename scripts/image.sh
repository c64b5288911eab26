#!/usr/bin/env bash
# Builds the container image from scratch: image.sh [IMAGE [BINARY]], composure:latest by default, of this tree or of that static binary.
# It needs a Docker Engine, but neither a registry nor buildx: where `docker build` has no builder, it imports.
set -euo pipefail

image=${1:-composure:latest}
binary=${2:-}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dockerfile=$root/examples/deploy/container/Dockerfile
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

version=$(git -C "$root" describe --always --dirty 2>/dev/null || echo dev)
if [[ -n $binary ]]; then
  cp "$binary" "$work/composure"
else
  arch=$(docker version --format '{{.Server.Arch}}')
  (cd "$root" && CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$work/composure" ./cmd/composure)
fi
cp "$dockerfile" "$work/"

if docker build --label "org.opencontainers.image.version=$version" --tag "$image" "$work" >"$work/build.log" 2>&1; then
  exit 0
fi
echo "docker build is of no use here, importing instead: $(tail -n 1 "$work/build.log")" >&2
changes=(--change "LABEL org.opencontainers.image.version=$version")
while read -r line; do changes+=(--change "$line"); done < <(grep -E '^(LABEL|HEALTHCHECK|ENTRYPOINT|CMD) ' "$dockerfile")
tar -C "$work" --owner=0 --group=0 --mode=0755 -cf - composure | docker import "${changes[@]}" - "$image" >/dev/null
