# The commands of this project. `make help` lists them.
GO      ?= go
PKG     := ./...
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)

.PHONY: help build test race slow lint bench bench-large bench-http bench-peers faults oracle live docs ci clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/tomehub, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/tomehub ./cmd/tomehub

test: ## what a newcomer runs
	$(GO) test $(PKG)

race: ## the tests under the race detector
	$(GO) test -race -short $(PKG)

lint: ## go vet, gofmt, staticcheck
	$(GO) vet $(PKG)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 $(PKG)

bench: ## benchmarks that take minutes at most, as a table
	.ci/bench

bench-large: ## the same with the 1,000,000-passage library
	TOMEHUB_BENCH_LARGE=1 .ci/bench

bench-http: ## a cached search against a bare gin handler, per CPU second (needs two cores and wrk)
	.ci/bench-http

bench-peers: ## the load generator against vegeta, k6, wrk and others (needs two cores; half an hour with building them; ARGS=-h tells the flags)
	.ci/bench-peers $(ARGS)

faults: ## faults of processes, databases and clients in their long form (many minutes)
	TOMEHUB_FAULTS=full $(GO) test -p 1 -run 'Fault' -timeout 60m -v ./cmd/tomehub ./server/...

slow: ## pages in a browser, checkpoints, checklists, stress scenarios, alerts and an Oracle with faults, which go test ./... leaves out (four minutes)
	TOMEHUB_SLOW=1 $(GO) test -count=1 -p 1 -run '^Test(Browser|Alerts|Checkpoints|Stress|Verify|CapacitySpawned$$|FaultOracle$$)' -v ./server ./cmd/tomehub

oracle: ## the free edition of Oracle in a container, for `make live` (needs docker compose)
	docker compose -f deploy/compose.oracle.yaml up --detach --wait
	docker compose -f deploy/compose.oracle.yaml exec -T oracle sh -c '{ echo "ALTER SESSION SET CONTAINER = FREEPDB1;"; cat; } | sqlplus -s / as sysdba' < docs/oracle-grants.sql

live: ## the tests that want a real Oracle; TOMEHUB_TEST_ORACLE=user/password@host:port/service, a schema to be emptied
	TOMEHUB_TEST_ORACLE=$${TOMEHUB_TEST_ORACLE:-tomehub/tomehub@127.0.0.1:1521/FREEPDB1} $(GO) test -count=1 -timeout 50m -p 1 -run '^TestLiveOracle' -v ./server/store ./profiler

docs: ## write docs/flags.md, docs/metrics.md, docs/api.md and the dashboards anew from the programs
	$(GO) test ./cmd/tomehub -run TestFlagsReference -update
	$(GO) test ./server -run 'TestMetricsReference|TestAPIReference' -update
	cd tools/dashboards && $(GO) run .

ci: ## everything that CI runs
	.ci/run

clean: ## remove what the above made
	rm -rf bin out
