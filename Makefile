# CI runs `make test` and `make lint` (see .ci/run), and nothing else.
#
# The go command builds the pinned tools from source and caches them; nothing is installed. They
# need Go 1.26, which the go command downloads unless GOTOOLCHAIN forbids it; the tests need only
# the version in go.mod.

export STATICCHECK   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
export GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
export GOFUMPT       := mvdan.cc/gofumpt@v0.12.0
export GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0
export DEADCODE      := golang.org/x/tools/cmd/deadcode@v0.52.0

# Passed to the scripts if set on the command line or in the environment.
ARGS  ?=
STEPS ?=
export SOAK_RUN SOAK_TIMEOUT FUZZTIME

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: deps ## test every module, with -race unless its go.mod says why not, and fuzz if FUZZTIME is set; with ARGS, only what go test does with them
	@scripts/test.sh $(ARGS)

.PHONY: lint
lint: ## formatting, vet, staticcheck, golangci-lint, go.mod, the API, the documents; STEPS="vet tidy" runs only these
	@scripts/lint.sh $(STEPS)

.PHONY: format
format: ## format every file with gofumpt
	go run $(GOFUMPT) -w .

.PHONY: api
api: ## update the listing of the exported API (api/), after a change that is meant
	go run ./internal/tools/apilist $$(scripts/modules.sh public)

.PHONY: examples
examples: ## list exported functions that no example uses
	@go run ./internal/tools/apilist -examples $$(scripts/modules.sh public)

.PHONY: deadcode
deadcode: ## list functions that no test and no program reaches
	@scripts/modules.sh | while read -r dir; do (cd $$dir && go run $(DEADCODE) -test ./...) || exit; done | \
		{ grep -v 'unreachable func: Example' || true; } # examples without output are compiled, not run

.PHONY: vuln
vuln: ## known vulnerabilities in the code that is reachable; needs network access
	@scripts/modules.sh | while read -r dir; do echo "=== module $$dir"; (cd $$dir && go run $(GOVULNCHECK) ./...) || exit; done

.PHONY: bench
bench: ## compare with other libraries (the module bench/); ARGS go to its program
	cd bench && go run . $(ARGS)

.PHONY: soak
soak: deps ## long tests (SOAK=1, names matching SOAK_RUN), then fuzzing, FUZZTIME each (default 1m)
	@scripts/soak.sh

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (default 1m)
	@scripts/fuzz.sh

.PHONY: deps
deps: ## install what the tests need (as root, with apt-get), or say what is missing
	@scripts/deps.sh
