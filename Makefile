# make help lists the targets. Everything that is built lands in bin/ or .cache/, both ignored by git.

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo dev)
PACKAGES := $(wildcard cmd controller examples internal policy reconcile)
# Where there are tests that ask a Docker Engine.
ENGINE_TESTS := ./examples/quickstart ./internal/compose ./internal/engine/... ./internal/torture

.DEFAULT_GOAL := help
.PHONY: help build test race engine-test torture sim lint fmt demo tools clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/composure, static
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/composure ./cmd/composure

test: lint race ## all that CI checks: formatting, vet, lint, and every test under the race detector

race: ## every test once, under the race detector; engine tests skip themselves when no Docker Engine answers
	scripts/test.sh

engine-test: ## only the packages that test on a Docker Engine; red without one
	COMPOSURE_REQUIRE_ENGINE=1 scripts/test.sh $(ENGINE_TESTS)

torture: ## replace, kill, disturb and time applies on a Docker Engine, all of it; about half an hour
	scripts/torture.sh

sim: ## everything goes wrong everywhere, in memory, and planted bugs are found: make sim SEEDS=200, make sim REPLAY=single/hang/12
	@REPLAY="$(REPLAY)" scripts/sim.sh $(SEEDS)

lint: tools ## formatting, a tidy go.mod, go vet and the house rules of .golangci.yml
	@unformatted=$$(gofmt -s -l $(PACKAGES)); test -z "$$unformatted" || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; }
	go mod tidy -diff
	go vet ./...
	"$$(scripts/golangci-lint.sh)" run ./...

fmt: ## format the Go files
	gofmt -s -w $(PACKAGES)

demo: build ## the quickstart, start to finish, on your Docker Engine (simulated without one)
	scripts/demo.sh

tools: ## build golangci-lint into .cache/bin, once
	@scripts/golangci-lint.sh >/dev/null

clean: ## remove what was built
	rm -rf bin .cache
