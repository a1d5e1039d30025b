# dbtier: a Pulumi program for a production PostgreSQL tier, and a local cloud to run it on.
#
#   make up       build and start everything on this machine
#   make help     list the other targets
#
# Go's build cache keeps builds short. The lists of sources below let `make` skip Go entirely when no file is newer.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

GO ?= go
STACK ?= local
# Version control stamping (-buildvcs) walks the git tree at each build and fails in a checkout of another user. The
# version is passed by -ldflags instead. Debug information is off: the linker drops it anyway, and it costs a tenth of
# the compiler's work.
export GOFLAGS := -buildvcs=false -gcflags=all=-dwarf=false $(filter-out -buildvcs=% -gcflags=%,$(GOFLAGS))
# Programs in the local cloud's images must be static. All builds use the same flags, so that shared packages are
# compiled once. Only the race detector needs C.
export CGO_ENABLED := $(if $(RACE),1,0)

# A higher GOGC makes the compiler collect garbage less often. 200 saves a sixth of its work on the SDKs' large
# packages, in the memory that debug information would take; 400 saves a quarter and takes half a GiB more.
ifndef BUILD_GOGC
BUILD_GOGC := $(shell awk '/^MemAvailable/ { print ($$2 > 8000000 ? 400 : 200) }' /proc/meminfo 2>/dev/null || echo 200)
endif
GO_BUILD := GOGC=$(BUILD_GOGC) $(GO) build

# The linker stamps the version into every program of ours, as the variable `version` of the package that shows it.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
stamped = -ldflags "-s -w -X $(1).version=$(VERSION)"
PULUMI_VERSION := $(shell sed -n 's|^[[:space:]]*github.com/pulumi/pulumi/pkg/v3 v\([^ ]*\).*|\1|p' tools/pulumi/go.mod)

# Directories are listed too, because their time changes when a file is added or removed.
sources = $(shell find $(wildcard $(1)) -not -name '*_test.go' -not -path '*/testdata/*' 2>/dev/null)
PROGRAM_SOURCES := $(call sources,*.go go.mod go.sum budget config components internal policy validation)
POLICY_SOURCES := $(call sources,go.mod go.sum budget policy validation)
CLOUD_SOURCES := $(call sources,localcloud/main.go localcloud/go.mod localcloud/go.sum localcloud/internal validation)

MODULES := . validation localcloud localcloud/awsmodels examples/myshop-api images/load tests/s3 tests/podsecurity

##@ Use

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z0-9-]*:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo; printf '%s\n' 'Variables: PURGE=1 with down, RACE=1 with test, RUN=<regexp> with test and e2e,' \
		'SHORT=1 with e2e (fewer rounds), FUZZTIME=1m with fuzz, SUBJECT=<name> with bench, VULN_DB=<url> with vuln.'

.PHONY: up
up: preflight all ## Build everything, start the local cloud, deploy the stack `local`, verify it
	@bin/dbtier up --stack local
	@bin/dbtier verify --stack local
	@printf '%s\n' '' 'The tier runs on this machine. Next:' \
		'  bin/dbtier local kubectl get pods -A             what runs in the cluster' \
		"  bin/dbtier local psql -c 'select version()'      the database, through the pool" \
		'  bin/dbtier preview --stack prod --offline        the same tier on AWS, without an account' \
		'make down stops it and keeps its data.'

.PHONY: down
down: ## Stop the local cloud and keep its state (PURGE=1 removes the state)
	@if [ -x bin/dbtier ] && [ -x bin/localcloud ]; then bin/dbtier local stop $(if $(PURGE),--purge); \
	else echo "nothing is built, so nothing is running"; fi

.PHONY: build
build: bin/localcloud bin/dbtier bin/policy-pack bin/pulumi ## Build our programs and the pinned Pulumi CLI into bin/
	@:

# Two jobs at a time: while one waits for a download, the linker or a large package, the other compiles. bin/localcloud
# comes first because it contains most of the shared packages, which would otherwise be compiled twice. Meanwhile the
# sources of the other programs are downloaded.
.PHONY: all
all: ## Build the same, and into .localcloud/cache/ what runs in the local cloud
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

# The linter runs go vet; running it here too would analyse all of the SDKs a second time. The race detector instruments
# all packages, including the generated SDKs: without them it misses synchronization and reports false races. By default
# it makes every process, including those that tests start, sleep for a second before it exits, to catch late races. The
# tests here wait for their goroutines, so that sleep is off.
# The tests of tests/engine start the driver as a process, up to dozens of times each, and its start is several times as
# slow with the race detector. They run without it: what they start is tested with it in internal/.
.PHONY: test
test: export GORACE := atexit_sleep_ms=0
test: bin/tools/gotestsum bin/pulumi ## Unit tests of all modules, some 20 minutes at first (RACE=1 with the race detector)
	@failed=0; \
	try() { \
		GOGC=$(BUILD_GOGC) "$(CURDIR)/bin/tools/gotestsum" --format $(or $(GOTESTSUM_FORMAT),pkgname-and-test-fails) \
			--format-hide-empty-pkg -- -vet=off $(if $(RUN),-run '$(RUN)') "$$@" || failed=1; \
	}; \
	for module in $(wildcard $(MODULES)); do \
		[ "$$(find $$module -name '*_test.go' -print -quit)" ] || continue; \
		echo "== module $$module"; \
		cd $$module; \
		$(if $(RACE),try -race -ldflags=-w -timeout 30m \
			$$($(GO) list ./... | grep -v '/tests/engine$$'),try ./...); \
		cd "$(CURDIR)"; \
	done; \
	$(if $(RACE),CGO_ENABLED=0 try -timeout 30m ./tests/engine;) exit $$failed

# The inner loop: what changed is compiled and tested, and the results of the other packages are cached. The tests of
# the local cloud need root and take minutes, so they are left to `make test`.
.PHONY: check
check: bin/tools/gofumpt ## Format and unit tests of the program, for the inner loop (2 minutes when warm)
	@unformatted=$$(git ls-files --cached --others --exclude-standard '*.go' | xargs --no-run-if-empty bin/tools/gofumpt -l); \
	[ -z "$$unformatted" ] || { echo "make: run make fmt for: $$unformatted" >&2; exit 1; }
	@cd validation && $(GO) test -vet=off ./...
	@GOGC=$(BUILD_GOGC) $(GO) test -vet=off $(if $(RUN),-run '$(RUN)') $$($(GO) list ./... | grep -v /tests/)

# The other evaluator is a package of npm, which the test installs. `make test` needs no npm, so this is a target of its
# own, and .ci/run calls it. Without npm it fails.
.PHONY: peer
peer: bin/tools/gotestsum ## Compare the local cloud's IAM with an independent evaluator (needs npm)
	@cd localcloud && "$(CURDIR)/bin/tools/gotestsum" --format $(or $(GOTESTSUM_FORMAT),testname) \
		-- -tags peer -vet=off -count 1 -timeout 5m ./internal/aws/iam/peer

# The page of a drill is for people, so a browser decides whether it can be read. It is a target of its own, because the
# browser is large and only Debian has it as a package.
.PHONY: browser
browser: bin/tools/gotestsum ## Check the page of a drill in headless Chromium, which it installs (root on Debian)
	@command -v chromium-headless-shell chromium google-chrome >/dev/null || { apt-get update -qq \
		&& apt-get install -y -qq --no-install-recommends chromium-headless-shell fonts-dejavu-core; }
	@bin/tools/gotestsum --format $(or $(GOTESTSUM_FORMAT),testname) \
		-- -tags browser -vet=off -count 1 -timeout 5m -run Browser ./internal/drill/report

# The rules are judged by Prometheus' own engine, which is not a dependency of this module. promtool is taken out of
# Debian's package: installing the package would start a server.
.PHONY: alerts
alerts: bin/tools/gotestsum bin/tools/promtool ## Test that every Prometheus alert fires when it should (needs apt-get)
	@bin/tools/gotestsum --format $(or $(GOTESTSUM_FORMAT),testname) \
		-- -tags promtool -vet=off -count 1 -timeout 5m ./components/alerts

bin/tools/promtool:
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; chmod 755 "$$work"; \
	cd "$$work"; apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; \
	dpkg-deb --extract prometheus_*.deb .; mkdir -p "$(CURDIR)/$(@D)"; mv usr/bin/promtool "$(CURDIR)/$@"; touch "$(CURDIR)/$@"

FUZZTIME ?= 20000x
# Fuzz tests run in ordinary test binaries. `go test -fuzz` would build all of Pulumi's SDK a second time with coverage
# instrumentation, which such short runs hardly use. The default is a number of runs, because at the end of a time Go
# sometimes reports its own deadline as a failure.
.PHONY: fuzz
fuzz: ## Every fuzz test of all modules, each for FUZZTIME (a number of runs such as 20000x, or a time such as 1m)
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; failed=0; \
	for module in $(wildcard $(MODULES)); do \
		for package in $$(cd $$module && $(GO) list -f '{{.Dir}}' ./...); do \
			grep -qs '^func Fuzz' $$package/*_test.go || continue; \
			( cd $$module && $(GO) test -c -ldflags '-s -w' -o "$$work/fuzz.test" $$package ) \
				|| { failed=1; continue; }; \
			for name in $$(cat $$package/*_test.go | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do \
				echo "== $${package#$(CURDIR)/} $$name"; \
				( cd $$package && "$$work/fuzz.test" -test.run '^$$' -test.fuzz "^$$name"'$$' \
					-test.fuzztime $(FUZZTIME) -test.fuzzcachedir "$$work/cache" ) || failed=1; \
			done; \
		done; \
	done; exit $$failed

.PHONY: e2e
e2e: preflight all bin/tools/gotestsum ## End-to-end tests on the local cloud; they remove its state (root)
	@failed=0; \
	try() { \
		"$(CURDIR)/bin/tools/gotestsum" --format $(or $(GOTESTSUM_FORMAT),testname) -- \
			-tags e2e -count 1 $(if $(SHORT),-short) $(if $(RUN),-run '$(RUN)') "$$@" || failed=1; \
	}; \
	cd localcloud; try -timeout 15m $$(grep -rl --include='*_e2e_test.go' '^//go:build e2e' . \
		| xargs -r dirname | sort -u); \
	cd ..; try -timeout 60m ./tests/e2e/...; try ./tests/policy ./components/pgbouncer; \
	cd images/load; try -timeout 5m .; exit $$failed

.PHONY: drills
drills: preflight up ## Run each drill five times on the local cloud, into docs/drills.md (RUN=<names>; takes two hours)
	@$(GO) run ./tests/drills $(RUN)

.PHONY: bench
bench: preflight build ## Measure driver, policies, `make up`, into docs/benchmarks.md (SUBJECT=build: a first build)
	@BUILD_GOGC=$(BUILD_GOGC) $(GO) run ./tests/bench $(SUBJECT)

.PHONY: lint
lint: bin/tools/golangci-lint bin/tools/actionlint ## Lint every module, and the workflows in .github and examples/ci
	@failed=0; for module in $(wildcard $(MODULES)); do \
		echo "== module $$module"; \
		( cd $$module && GOGC=$(BUILD_GOGC) "$(CURDIR)/bin/tools/golangci-lint" run --allow-parallel-runners \
			--config "$(CURDIR)/.golangci.yml" ./... ) || failed=1; \
	done; bin/tools/actionlint .github/workflows/*.yml examples/ci/github/*.yml examples/ci/github/service/*.yml || failed=1; exit $$failed

.PHONY: fmt
fmt: bin/tools/gofumpt ## Format every Go file
	@git ls-files --cached --others --exclude-standard '*.go' | xargs --no-run-if-empty bin/tools/gofumpt -w

# Each generated file has a go:generate directive beside its source.
.PHONY: generate
generate: ## Regenerate config/schema.json, docs/policies.md, tests/golden, the sources in localcloud
	@$(GO) generate ./...
	@cd localcloud && $(GO) generate ./internal/artifacts

.PHONY: lock-images
lock-images: bin/localcloud ## Take the versions of the images' Debian packages that Debian has today (images/*/*.lock)
	@bin/localcloud image lock

# Compares the tree before and after, so that it also works with uncommitted changes. safe.directory admits a checkout
# of another user.
.PHONY: check-generate
check-generate: ## Fail if a generated file is out of date
	@git() { command git -c safe.directory='*' "$$@"; }; \
	tree() { git diff HEAD; git ls-files --others --exclude-standard | xargs -r -d '\n' sha256sum; }; \
	before=$$(tree); $(MAKE) --no-print-directory generate; \
	[ "$$before" = "$$(tree)" ] || { git --no-pager diff --stat; \
		echo "make: generated files were out of date: run make generate and commit the result" >&2; exit 1; }

# The vulnerability database is on the network (vuln.go.dev; VULN_DB names a mirror), so .ci/run leaves this to the
# hosted workflow.
.PHONY: vuln
vuln: bin/tools/govulncheck ## Check every module for known vulnerabilities (needs vuln.go.dev)
	@failed=0; for module in $(wildcard $(MODULES)); do \
		echo "== module $$module"; \
		( cd $$module && "$(CURDIR)/bin/tools/govulncheck" $(if $(VULN_DB),-db $(VULN_DB)) ./... ) || failed=1; \
	done; exit $$failed

.PHONY: clean
clean: down ## Stop the local cloud and remove bin/ (.localcloud/ stays, see down PURGE=1)
	@rm -rf bin

# Checks what `make up` needs before it builds for minutes.
.PHONY: preflight
preflight:
	@fail() { echo "make: $$1" >&2; exit 1; }; \
	[ "$$(uname -s)" = Linux ] || fail "the local cloud needs Linux (namespaces, cgroups, nftables) and \
	this is $$(uname -s): use a Linux machine or VM; previews work here: \
	make build && bin/dbtier preview --stack prod --offline"; \
	[ "$$(id -u)" = 0 ] || fail "the local cloud needs root (namespaces, mounts) and this is user $$(id -un): \
	run it again as root, for example with sudo"; \
	for tool in $(GO) npm apt-get; do \
		command -v $$tool >/dev/null || fail "$$tool is not on PATH: install it and run make up again"; \
	done

bin/dbtier: $(PROGRAM_SOURCES)
	@echo "building $@"
	@$(GO_BUILD) -o $@ $(call stamped,dbtier/internal/driver) .
	@touch $@

bin/policy-pack: $(POLICY_SOURCES)
	@echo "building $@"
	@$(GO_BUILD) -o $@ $(call stamped,main) ./policy
	@touch $@

bin/localcloud: $(CLOUD_SOURCES)
	@echo "building $@"
	@cd localcloud && $(GO_BUILD) -o ../$@ $(call stamped,dbtier/localcloud/internal/cli) .
	@touch $@

# The Automation API reads the CLI's version. In a build from source only the linker can set it.
bin/pulumi: tools/pulumi/go.mod tools/pulumi/go.sum
	@echo "building $@ $(PULUMI_VERSION) (some minutes the first time)"
	@cd tools/pulumi && $(GO_BUILD) -o ../../$@ \
		-ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$(PULUMI_VERSION)" \
		github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
	@touch $@

bin/tools/golangci-lint: PACKAGE := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
bin/tools/gotestsum: PACKAGE := gotest.tools/gotestsum
bin/tools/gofumpt: PACKAGE := mvdan.cc/gofumpt
bin/tools/actionlint: PACKAGE := github.com/rhysd/actionlint/cmd/actionlint
bin/tools/govulncheck: PACKAGE := golang.org/x/vuln/cmd/govulncheck
$(addprefix bin/tools/,golangci-lint gotestsum gofumpt actionlint govulncheck): tools/go.mod tools/go.sum
	@echo "building $@"
	@cd tools && $(GO_BUILD) -o ../$@ $(PACKAGE)
	@touch $@
