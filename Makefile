# dbtier: one Pulumi program for a production PostgreSQL tier, and a cloud on one machine to run it on.
#
#   make up       everything from nothing, on this machine
#   make help     the other targets
#
# Go's own cache keeps builds short; the lists of sources below keep `make` from even asking Go when no file is newer.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

GO ?= go
STACK ?= local
# Version control stamping costs a git walk a build and fails in checkouts of another owner; the version is passed by -ldflags instead.
# No program keeps debug information, so none is made: a tenth of the compiler's work.
export GOFLAGS := -buildvcs=false -gcflags=all=-dwarf=false $(filter-out -buildvcs=% -gcflags=%,$(GOFLAGS))
# Static, as the programs in the local cloud's images must be: with one set of flags, what all builds have in common is compiled once.
# Only the race detector needs C.
export CGO_ENABLED := $(if $(RACE),1,0)

# The compiler collects its garbage less often: 200 saves a sixth of its work on the SDKs' large packages, in the memory that the debug information would
# take; 400 a quarter, for half a GiB more.
ifndef BUILD_GOGC
BUILD_GOGC := $(shell awk '/^MemAvailable/ { print ($$2 > 8000000 ? 400 : 200) }' /proc/meminfo 2>/dev/null || echo 200)
endif
GO_BUILD := GOGC=$(BUILD_GOGC) $(GO) build

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PULUMI_VERSION := $(shell sed -n 's|^[[:space:]]*github.com/pulumi/pulumi/pkg/v3 v\([^ ]*\).*|\1|p' tools/pulumi/go.mod)

# Directories are listed too: their time changes when a file appears or goes.
sources = $(shell find $(wildcard $(1)) -not -name '*_test.go' -not -path '*/testdata/*' 2>/dev/null)
PROGRAM_SOURCES := $(call sources,*.go go.mod go.sum budget config components internal policy validation)
POLICY_SOURCES := $(call sources,go.mod go.sum budget policy validation)
CLOUD_SOURCES := $(call sources,localcloud/main.go localcloud/go.mod localcloud/go.sum localcloud/internal validation)

MODULES := . validation localcloud examples/myshop-api tests/s3

##@ Use

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z0-9-]*:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nVariables: PURGE=1 with down, RACE=1 with test, RUN=<regexp> with test and e2e, FUZZTIME=1m with fuzz.\n'

.PHONY: up
up: preflight all ## Build, start the local cloud, bring the tier up on it, check it
	@bin/dbtier up --stack local
	@bin/dbtier verify --stack local

.PHONY: down
down: ## Stop the local cloud; its state survives (PURGE=1 forgets it)
	@if [ -x bin/dbtier ] && [ -x bin/localcloud ]; then bin/dbtier local stop $(if $(PURGE),--purge); else echo "nothing is built, so nothing runs"; fi

.PHONY: build
build: bin/localcloud bin/dbtier bin/policy-pack bin/pulumi ## Build dbtier, its policy pack, localcloud and the pinned Pulumi CLI into bin/
	@:

# Two at a time: where one waits for a download, its linker or a large package, the other compiles. What most have in common comes with
# bin/localcloud, so that is first, lest two compile the same; meanwhile the sources of the others are fetched.
.PHONY: all
all: ## Build that, and what runs in the local cloud into .localcloud/cache/
	@$(MAKE) --no-print-directory --jobs=2 downloads build artifacts

ifneq ($(filter downloads,$(MAKECMDGOALS)),)
bin/dbtier: | bin/localcloud
bin/policy-pack bin/pulumi: | bin/dbtier
endif

.PHONY: artifacts
artifacts: bin/localcloud
	@GOGC=$(BUILD_GOGC) bin/localcloud build

.PHONY: downloads
downloads:
	@[ -e bin/dbtier ] || $(GO) list -deps . ./policy >/dev/null
	@[ -e bin/pulumi ] || { cd tools/pulumi && $(GO) list -deps tool >/dev/null; }

##@ Develop

# go vet is left to the linter: it would look through all of the SDKs a second time. The race detector watches all packages, the generated SDKs as well:
# without them it misses what orders one access before another, and reports races that are none. Of itself it has every process sleep a second before it
# ends, those that tests start as well, for races that come late: none here is left to the end.
.PHONY: test
test: bin/tools/gotestsum bin/pulumi ## Unit tests of all modules (RACE=1 with the race detector)
	@failed=0; for module in $(wildcard $(MODULES)); do \
		[ "$$(find $$module -name '*_test.go' -print -quit)" ] || continue; \
		echo "== module $$module"; \
		( cd $$module && $(if $(RACE),GORACE=atexit_sleep_ms=0) GOGC=$(BUILD_GOGC) "$(CURDIR)/bin/tools/gotestsum" --format $(or $(GOTESTSUM_FORMAT),pkgname-and-test-fails) --format-hide-empty-pkg \
			-- -vet=off $(if $(RACE),-race -ldflags=-w -timeout 30m) $(if $(RUN),-run '$(RUN)') ./... ) || failed=1; \
	done; exit $$failed

FUZZTIME ?= 20000x
# Ordinary test binaries: `go test -fuzz` would build all of Pulumi's SDK a second time, instrumented, for guidance that these short runs use little of.
# Runs are counted by default: at the end of a time Go now and then reports its own deadline as a failure.
.PHONY: fuzz
fuzz: ## Every fuzz test of all modules, one after another, each FUZZTIME (20000x, so many runs, or a time such as 1m)
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; failed=0; \
	for module in $(wildcard $(MODULES)); do \
		for package in $$(cd $$module && $(GO) list -f '{{.Dir}}' ./...); do \
			grep -qs '^func Fuzz' $$package/*_test.go || continue; \
			( cd $$module && $(GO) test -c -ldflags '-s -w' -o "$$work/fuzz.test" $$package ) || { failed=1; continue; }; \
			for name in $$(cat $$package/*_test.go | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do \
				echo "== $${package#$(CURDIR)/} $$name"; \
				( cd $$package && "$$work/fuzz.test" -test.run '^$$' -test.fuzz "^$$name"'$$' -test.fuzztime $(FUZZTIME) \
					-test.fuzzcachedir "$$work/cache" ) || failed=1; \
			done; \
		done; \
	done; exit $$failed

.PHONY: e2e
e2e: preflight all bin/tools/gotestsum ## End-to-end tests on the local cloud, whose state they forget (root)
	@packages=$$(cd localcloud && grep -rl --include='*_e2e_test.go' '^//go:build e2e' . | xargs -r dirname | sort -u); \
		[ -z "$$packages" ] || ( cd localcloud && "$(CURDIR)/bin/tools/gotestsum" --format $(or $(GOTESTSUM_FORMAT),testname) \
			-- -tags e2e -count 1 -timeout 15m $(if $(RUN),-run '$(RUN)') $$packages )
	@bin/tools/gotestsum --format $(or $(GOTESTSUM_FORMAT),testname) -- -tags e2e -count 1 -timeout 40m $(if $(RUN),-run '$(RUN)') ./tests/e2e/...
	@bin/tools/gotestsum --format $(or $(GOTESTSUM_FORMAT),testname) -- -tags e2e -count 1 $(if $(RUN),-run '$(RUN)') ./tests/policy ./components/pgbouncer

.PHONY: bench
bench: preflight build ## Measure the driver, the policies and `make up` into docs/benchmarks.md (SUBJECT=build: the first build)
	@BUILD_GOGC=$(BUILD_GOGC) $(GO) run ./tests/bench $(SUBJECT)

.PHONY: lint
lint: bin/tools/golangci-lint bin/tools/actionlint ## Lint every module, and the pipelines of examples/ci
	@failed=0; for module in $(wildcard $(MODULES)); do \
		echo "== module $$module"; \
		( cd $$module && GOGC=$(BUILD_GOGC) "$(CURDIR)/bin/tools/golangci-lint" run --allow-parallel-runners --config "$(CURDIR)/.golangci.yml" ./... ) || failed=1; \
	done; bin/tools/actionlint examples/ci/github/*.yml || failed=1; exit $$failed

.PHONY: fmt
fmt: bin/tools/gofumpt ## Format every Go file
	@git ls-files --cached --others --exclude-standard '*.go' | xargs --no-run-if-empty bin/tools/gofumpt -w

.PHONY: clean
clean: down ## Stop the local cloud, which nothing else can, and remove bin/ (not .localcloud/, see down PURGE=1)
	@rm -rf bin

# What `make up` cannot do without, asked before minutes of building.
.PHONY: preflight
preflight:
	@fail() { echo "make: $$1" >&2; exit 1; }; \
	[ "$$(uname -s)" = Linux ] || fail "the local cloud needs Linux (namespaces, cgroups, nftables) and this is $$(uname -s): use a Linux machine or VM; previews work here: make build && bin/dbtier preview --stack prod --offline"; \
	[ "$$(id -u)" = 0 ] || fail "the local cloud needs root (namespaces, mounts) and this is user $$(id -un): run it again as root, for example with sudo"; \
	for tool in $(GO) npm apt-get; do command -v $$tool >/dev/null || fail "$$tool is not on PATH: install it and run make up again"; done

bin/dbtier: $(PROGRAM_SOURCES)
	@echo "building $@"
	@$(GO_BUILD) -o $@ -ldflags "-s -w -X dbtier/internal/driver.version=$(VERSION)" .
	@touch $@

bin/policy-pack: $(POLICY_SOURCES)
	@echo "building $@"
	@$(GO_BUILD) -o $@ -ldflags "-s -w" ./policy
	@touch $@

bin/localcloud: $(CLOUD_SOURCES)
	@echo "building $@"
	@cd localcloud && $(GO_BUILD) -o ../$@ -ldflags "-s -w" .
	@touch $@

# The Automation API reads the CLI's version, which only the linker can set in a build from source.
bin/pulumi: tools/pulumi/go.mod tools/pulumi/go.sum
	@echo "building $@ $(PULUMI_VERSION) (some minutes the first time)"
	@cd tools/pulumi && $(GO_BUILD) -o ../../$@ \
		-ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$(PULUMI_VERSION)" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
	@touch $@

bin/tools/golangci-lint: PACKAGE := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
bin/tools/gotestsum: PACKAGE := gotest.tools/gotestsum
bin/tools/gofumpt: PACKAGE := mvdan.cc/gofumpt
bin/tools/actionlint: PACKAGE := github.com/rhysd/actionlint/cmd/actionlint
bin/tools/golangci-lint bin/tools/gotestsum bin/tools/gofumpt bin/tools/actionlint: tools/go.mod tools/go.sum
	@echo "building $@"
	@cd tools && $(GO_BUILD) -o ../$@ $(PACKAGE)
	@touch $@
