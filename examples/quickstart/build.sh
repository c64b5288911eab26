#!/usr/bin/env bash
# Builds the quickstart's image from scratch: build.sh [IMAGE], composure-quickstart:latest by default.
# It needs Go and a Docker Engine, but neither a registry nor buildx: where `docker build` has no builder, it imports.
set -euo pipefail

image=${1:-composure-quickstart:latest}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

arch=$(docker version --format '{{.Server.Arch}}')
(cd "$here" && CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags '-s -w' -o "$work/shop" ./shop)
cp "$here/Dockerfile" "$work/"

if docker build --tag "$image" "$work" >"$work/build.log" 2>&1; then
  exit 0
fi
echo "docker build is of no use here, importing instead: $(tail -n 1 "$work/build.log")" >&2
tar -C "$work" --owner=0 --group=0 --mode=0755 -cf - shop |
  docker import --change 'USER 65534:65534' --change 'ENTRYPOINT ["/shop"]' - "$image" >/dev/null
