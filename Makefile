# `make help` lists the targets. Tools are pinned here and installed under .tools.
GOLANGCI_LINT := v2.15.0
GOFUMPT       := v0.12.0
GOTESTSUM     := v1.13.0
# A real Go repository that tests run on, taken from the Go module cache.
export GLUE_TEST_TREE_MODULE := golang.org/x/tools@v0.52.0
# Real projects in other languages, fetched once into this folder.
export GLUE_TEST_PROJECTS := $(abspath .tools/projects)
# Real editors, installed once into this folder.
export GLUE_TEST_EDITORS := $(abspath .tools/editors)
# What their tests start; without it they build one.
test: export GLUE_TEST_SERVER := $(abspath bin/glue-lsp)
STYLUA        := 2.5.2

export CGO_ENABLED ?= 0
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOLS := .tools
PKGS := ./...
# How often `make test` repeats up to six tests that failed; it names them either way.
RERUN ?= 0

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/glue-lsp, with the small agents for sandboxes in the cloud in it
	@scripts/build bin/glue-lsp '$(VERSION)'

.PHONY: demo
demo: deps build ## show the main job: a real LSP conversation on a real tree, in a local sandbox
	go run ./internal/demo -server bin/glue-lsp

.PHONY: deps
deps: # what running and testing need from the system
	@scripts/install-deps

.PHONY: trees
trees: # other people's repositories that tests and benchmarks work on
	go mod download $(GLUE_TEST_TREE_MODULE)

.PHONY: projects
projects: # other people's projects, with dependencies, whose tests our tests run
	@scripts/install-projects $(GLUE_TEST_PROJECTS)

$(TOOLS)/golangci-lint-$(GOLANGCI_LINT):
	GOBIN=$(abspath $(TOOLS)) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	@touch $@
$(TOOLS)/gofumpt-$(GOFUMPT):
	GOBIN=$(abspath $(TOOLS)) go install mvdan.cc/gofumpt@$(GOFUMPT)
	@touch $@
$(TOOLS)/gotestsum-$(GOTESTSUM):
	GOBIN=$(abspath $(TOOLS)) go install gotest.tools/gotestsum@$(GOTESTSUM)
	@touch $@

.PHONY: check
check: format lint vet unit ## format, lint, vet and the quick tests, in under two minutes

.PHONY: format
format: $(TOOLS)/gofumpt-$(GOFUMPT) # fails and names the files that are not formatted
	@out=$$($(TOOLS)/gofumpt -l .); test -z "$$out" || { echo "not formatted (run: .tools/gofumpt -w .):"; echo "$$out"; exit 1; }

.PHONY: lint
lint: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT)
	$(TOOLS)/golangci-lint run $(PKGS)

.PHONY: vet
vet:
	go vet $(PKGS)
	GOOS=darwin go vet $(PKGS)

.PHONY: unit
unit: $(TOOLS)/gotestsum-$(GOTESTSUM) deps trees projects modalemu python # all but the contract that each runtime passes as a whole, which takes a minute each, and most of what runs on Modal
	$(TOOLS)/gotestsum --format pkgname-and-test-fails -- -short -skip Contract $(PKGS)

.PHONY: test
test: deps trees projects build format lint vet emulator sidecar lua editors vscode-test $(TOOLS)/gotestsum-$(GOTESTSUM) ## everything: installs what tests need and runs all of them
	$(TOOLS)/gotestsum --format pkgname-and-test-fails --rerun-fails=$(RERUN) --rerun-fails-max-failures=6 --packages="$(PKGS)" -- -timeout 25m

.PHONY: editors
editors: deps # real editors that tests run: Neovim, Helix, Emacs, Vim
	@scripts/install-editors $(TOOLS)/editors

$(TOOLS)/stylua/installed-$(STYLUA):
	rm -rf $(TOOLS)/stylua
	npm install --prefix $(TOOLS)/stylua --ignore-scripts --no-audit --no-fund --silent @johnnymorganz/stylua-bin@$(STYLUA)
	@touch $@

.PHONY: lua
lua: $(TOOLS)/stylua/installed-$(STYLUA) # the Neovim plugin's format
	$(TOOLS)/stylua/node_modules/.bin/stylua --check editors/nvim

VSCODE := editors/vscode
$(VSCODE)/node_modules/.package-lock.json: $(VSCODE)/package-lock.json
	cd $(VSCODE) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.PHONY: vscode
vscode: build $(VSCODE)/node_modules/.package-lock.json ## check and build the VS Code extension: editors/vscode/dist/glue-linux-x64.vsix
	cd $(VSCODE) && npm run --silent check && npm run --silent package

$(VSCODE)/test/node_modules/.package-lock.json: $(VSCODE)/test/package-lock.json
	cd $(VSCODE)/test && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.PHONY: vscode-real
vscode-real: vscode modalemu python $(VSCODE)/test/node_modules/.package-lock.json # VS Code itself, and the programs that drive it
	@scripts/install-vscode $(TOOLS)/vscode
	cd $(VSCODE)/test && npm run --silent build

.PHONY: vscode-test
vscode-test: vscode-real # the extension in real VS Code, in a browser
	cd $(VSCODE)/test && npm test --silent -- --retries $(RERUN)

.PHONY: vscode-floor
vscode-floor: vscode-real ## the same in the oldest VS Code that the extension promises to run in
	@scripts/install-vscode $(TOOLS)/vscode-floor floor
	cd $(VSCODE)/test && GLUE_TEST_VSCODE=$(abspath $(TOOLS))/vscode-floor npm test --silent

.PHONY: screenshots
screenshots: vscode-real ## take the pictures of VS Code in docs/images
	cd $(VSCODE)/test && npm run --silent screenshots

.PHONY: modalemu
modalemu: # the emulator of Modal, for tests
	cd modalemu && go build -o ../bin/modalemu .

.PHONY: emulator
emulator: deps modalemu $(TOOLS)/golangci-lint-$(GOLANGCI_LINT) # the emulator's own checks and tests, Modal's among them
	cd modalemu && ../$(TOOLS)/golangci-lint run ./... && go test -timeout 10m ./...

PYTHON := $(TOOLS)/python
$(PYTHON)/installed: sidecar/requirements-test.txt
	rm -rf $(PYTHON) && python3 -m venv $(PYTHON)
	$(PYTHON)/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

.PHONY: python
python: $(PYTHON)/installed # a Python with Modal's SDK, for tests

.PHONY: sidecar
sidecar: deps modalemu $(PYTHON)/installed # the sidecar's checks and tests, with Modal's SDK against the emulator
	cd sidecar && ../$(PYTHON)/bin/ruff check . && ../$(PYTHON)/bin/ruff format --check . && ../$(PYTHON)/bin/mypy glue_sidecar tests
	cd sidecar && ls tests/test_*.py | MODALEMU=$(abspath bin/modalemu) xargs -P 3 -n 1 ../$(PYTHON)/bin/python -m unittest -q

# The oldest version of Modal's SDK that is supported.
SDK ?= 1.6.0
PYTHON3 ?= python3
.PHONY: sidecar-sdk
sidecar-sdk: deps modalemu # the sidecar's tests with another version of the SDK, and of Python: SDK=1.6.0 PYTHON3=python3.10
	$(PYTHON3) -m venv --clear $(PYTHON)-$(SDK)
	$(PYTHON)-$(SDK)/bin/pip install -q --disable-pip-version-check modal==$(SDK)
	cd sidecar && ls tests/test_*.py | MODALEMU=$(abspath bin/modalemu) xargs -P 3 -n 1 ../$(PYTHON)-$(SDK)/bin/python -m unittest -q

.PHONY: race
race: modalemu python ## all tests under the race detector
	CGO_ENABLED=1 go test -race -timeout 30m $(PKGS)

.PHONY: bench
bench: deps build modalemu python ## measure against floors in the same run, and write docs/benchmarks.md
	@scripts/build bin/bench '$(VERSION)' ./internal/bench
	bin/bench -server bin/glue-lsp -out docs/benchmarks.md

.PHONY: soak
soak: deps build $(PYTHON)/installed ## laws, fuzz targets and crashes by the thousand, drawn anew, in about an hour (PARTS="laws crashes" for some of them)
	@scripts/soak $(PARTS)

.PHONY: docs
docs: ## write the pages that come from tables in the code
	go test ./handlers ./config -run Reference -update
