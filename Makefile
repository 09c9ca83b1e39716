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
# Everything is tested, vetted and linted with ZeroMQ, which needs cgo and libzmq. What is different without it is in this package.
WITHOUT_ZMQ = .
# Tests wait as well as compute, for brokers, deadlines and Python: one more package at a time than there are processors (two more, and
# brokers take minutes to start), and those first that take longest.
AT_ONCE ?= $(shell echo $$((1 + $$(getconf _NPROCESSORS_ONLN))))
LONGEST = ./cmd/goslo ./transport/rabbit ./interop ./notify ./transport/amqp1 ./internal/chaos ./rest/keystone
TEST = GOTMPDIR=$${TMPDIR:-/tmp} TMPDIR=$$(scripts/test-folder) CGO_ENABLED=1 $(GO) test -race -count=1 -timeout $(TIMEOUT) -p $(AT_ONCE)

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
	$(GO) vet $(WITHOUT_ZMQ) ./compare
	$(GO) vet -tags zmq ./...
	$(TEST) -vet=off -tags zmq $(LONGEST) ./...
	$(TEST) -vet=off $(WITHOUT_ZMQ)
	$(GO) test -count=1 -tags zmq -run '^TestAllocations' ./benchmarks
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
	$(TOOL) golangci-lint run --build-tags zmq ./...
	$(TOOL) golangci-lint run $(WITHOUT_ZMQ)

.PHONY: fmt
fmt: ## Format with gofumpt and sort the imports.
	$(TOOL) golangci-lint fmt ./...

.PHONY: race
race: ## Test everything with the race detector, without setting up; RACEFLAGS='-run Name' narrows it.
	$(TEST) $(RACEFLAGS) -tags zmq $(LONGEST) ./...
	$(TEST) $(RACEFLAGS) $(WITHOUT_ZMQ)

.PHONY: interop
interop: setup ## Go and real Python oslo.messaging against each other on RabbitMQ and over AMQP 1.0.
	$(GO) test -count=1 -timeout $(TIMEOUT) -v ./interop/...

.PHONY: chaos
chaos: setup ## Break brokers and networks under load from Go and Python, 20 minutes; CHAOSFLAGS='-chaos.faults=kill' narrows it.
	$(GO) test ./internal/chaos -run '^TestChaos$$' -count=1 -timeout 60m -v -chaos.full $(CHAOSFLAGS)

.PHONY: scale
scale: setup ## Thousands of servers and hosts, and ten minutes at full load: the tables of docs/scale.md, in an hour; SCALEFLAGS='-scale.parts=idle' narrows it.
	$(GO) test ./scale -run '^TestScale$$' -count=1 -timeout 120m -v -scale.full -scale.doc '$(CURDIR)/docs/scale.md' $(SCALEFLAGS)

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (60s) each.
	scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: setup ## Run the benchmarks; BENCH, BENCHTIME, COUNT and BENCHFLAGS narrow them.
	packages=$$(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | sort -u) && \
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) $(BENCHFLAGS) -timeout 60m -tags zmq $$packages

.PHONY: compare
compare: setup ## Measure Goslo beside its peers and write docs/benchmarks.md, 20 minutes; GROUPS='rabbit zmq' narrows it.
	CGO_ENABLED=1 $(GO) test -tags zmq ./compare -run '^TestCompare$$' -count=1 -timeout 40m -v -compare.full -compare.groups '$(GROUPS)' $(COMPAREFLAGS)

.PHONY: bench-compare
bench-compare: setup ## Compare the benchmarks of this checkout with those of BASE (main).
	scripts/bench-compare '$(BASE)' '$(BENCH)'

.PHONY: conformance
conformance: ## Count the rows of docs/conformance.md that a test proves.
	$(GO) run ./internal/conformance -v
