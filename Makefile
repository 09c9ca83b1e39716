# Every target runs as it stands in CI. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
TIMEOUT ?= 15m
FUZZTIME ?= 60s
BENCH ?= .
BENCHTIME ?= 1s
COUNT ?= 1
BASE ?= main
TOOL = $(GO) tool -modfile=tools.mod
# What is different in a build with ZeroMQ, which needs cgo and libzmq: these packages, and these tests of the command.
ZMQ = -tags zmq . ./transport/zmq/...
ZMQ_COMMAND = -tags zmq -run ZMQ ./cmd/goslo

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Run the live-migration demo on the embedded bus; needs nothing installed.
	$(GO) run ./cmd/goslo demo --once

.PHONY: setup
setup: ## Install what the tests need (root on Debian or Ubuntu), or say what is missing.
	scripts/setup

.PHONY: test
test: setup ## Set up, then build, vet, test everything with the race detector, count conformance.
	$(GO) build ./...
	$(GO) vet ./...
	$(GO) vet -tags zmq ./...
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout $(TIMEOUT) ./...
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout $(TIMEOUT) $(ZMQ)
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout $(TIMEOUT) $(ZMQ_COMMAND)
	$(GO) run ./internal/conformance --min 85

.PHONY: check
check: ## Build, vet and test what needs neither a broker nor Python; needs Go only, under 20 s once built.
	$(GO) build ./...
	$(GO) vet ./...
	packages=$$(scripts/packages-without-brokers) && $(GO) test -timeout 2m $$packages

.PHONY: plain
plain: ## Build everything without cgo, as a program without ZeroMQ is built.
	CGO_ENABLED=0 $(GO) build ./...

.PHONY: lint
lint: setup ## Run the pinned golangci-lint, import arrows and formatting included.
	$(TOOL) golangci-lint run ./...
	$(TOOL) golangci-lint run --build-tags zmq ./...

.PHONY: fmt
fmt: ## Format with gofumpt and sort the imports.
	$(TOOL) golangci-lint fmt ./...

.PHONY: race
race: ## Test everything with the race detector, without setting up; RACEFLAGS='-run Name' narrows it.
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout $(TIMEOUT) $(RACEFLAGS) ./...
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout $(TIMEOUT) $(RACEFLAGS) $(ZMQ)

.PHONY: interop
interop: setup ## Go and real Python oslo.messaging against each other on RabbitMQ and over AMQP 1.0.
	$(GO) test -count=1 -timeout $(TIMEOUT) -v ./interop/...

.PHONY: chaos
chaos: setup ## Break brokers and networks under load from Go and Python, 20 minutes; CHAOSFLAGS='-chaos.faults=kill' narrows it.
	$(GO) test ./internal/chaos -run '^TestChaos$$' -count=1 -timeout 60m -v -chaos.full $(CHAOSFLAGS)

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (60s) each, one after the other.
	scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: setup ## Run the benchmarks; BENCH, BENCHTIME and COUNT narrow them.
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) -timeout 60m -tags zmq ./...

.PHONY: bench-compare
bench-compare: setup ## Compare the benchmarks of this checkout with those of BASE (main).
	scripts/bench-compare '$(BASE)' '$(BENCH)'

.PHONY: conformance
conformance: ## Count the rows of docs/conformance.md that a test proves.
	$(GO) run ./internal/conformance -v
