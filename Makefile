# All of the set-up: a target is one step, its work is a script in setup/ that can be read and run alone.

# The vector code of the pure-Go backend makes it ten times faster; a toolchain without the experiment does without.
SIMD := $(shell GOEXPERIMENT=simd go version >/dev/null 2>&1 && echo simd)
ifneq ($(SIMD),)
export GOEXPERIMENT := $(if $(GOEXPERIMENT),$(GOEXPERIMENT),simd)
endif

.PHONY: help deps build beam man check test cuda demo real fuzz bench replicate accept clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

deps: ## provide libtokenizers.a and the XLA plugin (found, downloaded or built; called by the others); GPU=1: that for CUDA too (4 GB)
	@setup/check.sh
	@setup/tokenizers.sh
	@setup/pjrt.sh
	@$(if $(GPU),setup/gpu.sh)

build: deps ## build every program of examples/ into bin/
	@setup/build.sh

beam: deps ## build examples/beam, a module of its own, into bin/ (Beam's packages take minutes to compile the first time)
	@setup/beam.sh build

man: build ## write manual pages and shell completions of the programs into bin/share/
	@setup/man.sh

demo: build ## build, then run the quickstart: no network, no arguments
	@bin/quickstart

test: deps ## everything that decides: format, vet, staticcheck, builds, tests with the race detector, all tests
	@setup/lint.sh
	@setup/pure.sh
	@setup/beam.sh
	@setup/real.sh || echo "test: going on without the real model, whose tests are skipped"
	@echo "test: go test ./..., the longest package first, skipped tests counted by setup/gotest"
	@go run ./setup/gotest -vet=off -timeout 60m ./logprob ./...

check: deps ## what decides in a minute: format, vet, staticcheck, and of the tests what -short leaves, on the pure-Go backend
	@setup/lint.sh
	@go run ./setup/gotest -vet=off -short ./...

cuda: deps ## hold what is computed for a GPU to the same numbers, on one or, compiled for one, without (4 GB to fetch; 20 minutes and more); CARD=a100
	@setup/real.sh || echo "cuda: going on without the real model, whose tests are skipped"
	@setup/cuda.sh

real: ## fetch SmolLM2-135M-Instruct and convert it to .deps/models/smollm2-135m-instruct
	@setup/real.sh

fuzz: deps ## run each fuzz target for FUZZTIME (default 30s)
	@setup/fuzz.sh

bench: build ## measure beside transformers, lm-eval, minicons and trl, into internal/bench/RESULTS.md (9 GB of random mixtures in .deps); BIG=1: 3 billion parameters too
	@setup/real.sh || echo "bench: going on without the real model"
	@setup/peers.sh || echo "bench: going on without the peers"
	@go run ./internal/bench $(if $(BIG),-big) -date "$$(date +%F)" -o internal/bench/RESULTS.md -history internal/bench/history.jsonl

replicate: build ## the paper in a box: tiny bases, reward models and policies from nothing, into replicate.out and examples/replicate/RESULTS.md
	@setup/replicate.sh

accept: build ## hold bin/serve to lm-eval, openai, inspect_ai, a trainer and schemathesis as they are (4 minutes and more)
	@setup/real.sh
	@setup/accept.sh
	@PYTHONDONTWRITEBYTECODE=1 .deps/venv-accept/bin/python setup/accept/accept.py .deps/models/smollm2-135m-instruct

clean: ## remove bin/
	@rm -rf bin

distclean: clean ## remove replicate.out/ and .deps/ too: libraries, tools and models (the XLA plugin in the home folder stays)
	@rm -rf .deps replicate.out
