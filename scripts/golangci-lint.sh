#!/usr/bin/env bash
# Prints the path of golangci-lint at the version the tree is checked with, building it into .cache/bin first if it is not there.
set -euo pipefail

version=v2.15.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$root/.cache/bin/golangci-lint

if [[ $("$bin" version --short 2>/dev/null) != "${version#v}" ]]; then
  echo "lint: building golangci-lint $version into .cache/bin, once; this takes a minute or two" >&2
  GOBIN=$root/.cache/bin go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
fi
echo "$bin"
