#!/bin/sh
# What must work without other people's C libraries: the libraries build with neither cgo nor libtokenizers.a, and
# the race detector finds nothing in the packages whose tests link no such library, on the pure-Go backend without
# vectors. go list says which these are, so that a new package takes part by itself.
set -eu
cd "$(dirname "$0")/.."

libraries=
for folder in tokenize logprob implicit stats internal/arch internal/checkpoint internal/engine internal/serve; do
	[ ! -d $folder ] || libraries="$libraries ./$folder/..."
done
echo "pure: go build -tags nodaulet, without cgo"
# shellcheck disable=SC2086 # one word a package, here and below
CGO_ENABLED=0 go build -tags nodaulet $libraries

packages=$(go list -tags nodaulet -test -f '{{.ImportPath}} {{if .GoFiles}}code {{end}}{{join .Deps " "}}' ./... | awk '
	{ name = $1; sub(/\.test$/, "", name) } # p and p.test, the program that tests it
	$2 ~ /^\[/ { next } # p and p_test as compiled for p.test: their needs are those of p.test
	!(name in linked) { linked[name] = 0 }
	$2 == "code" && $1 == name { code[name] = 1 } # the root has tests of texts alone, in which nothing can race
	/github\.com\/(gomlx\/go-xla\/pjrt|daulet\/)/ { linked[name] = 1 }
	END { for (name in linked) if (code[name] && !linked[name]) print name }' | sort)
# checkptr, which -race switches on, stops at the pure-Go backend's products: they hold a pointer one past the end
# of a slice (compute v0.1.6, nosimd_small.go). Races are looked for all the same.
# -short: arithmetic is ten times slower under the detector, and what can race is what runs at once, which is the same
# code for every family. So with -short tests take some checkpoints, of each kind of block, adapters and goldens.
# Without vectors, in which the detector is quicker, the pure-Go backend takes other code: what -short leaves out is
# held to the same numbers in that code below, and go test ./... does all of it with vectors.
# The longest come first.
echo "pure: go test -race -short -tags nodaulet, without vectors"
# shellcheck disable=SC2086
[ -z "$packages" ] || GOEXPERIMENT='' go test -vet=off -race -short -timeout 40m -gcflags=all=-d=checkptr=0 -tags nodaulet ./logprob ./implicit/train ./internal/engine $packages
# Of what -short leaves out: a report with all its figures.
GOEXPERIMENT='' go test -vet=off -race -timeout 40m -gcflags=all=-d=checkptr=0 -tags nodaulet ./internal/study -run '^TestSameBytes$'

# The pure-Go backend takes other code on other processors: of what this one has, less is switched on. Every
# checkpoint is tried with vectors of 256 bits, whose products go wrong by shape (setup/upstream); of the rest what
# -short leaves. -count=1: go test's cache does not see GOMLX_SIMD_AVX512.
# Where Go 1.26 with GOEXPERIMENT=simd preempts a goroutine in its loop, it leaves the upper halves of the vector
# registers set, and until something clears them math.Exp takes 1,000 ns in place of 9 (a Xeon with AVX-512). The
# pure-Go backend is full of such loops: three cases of TestEngineDense took 63 s of a core, and take 9 without.
export GODEBUG=asyncpreemptoff=1
export GOMLX_SIMD_AVX512=0
# Tests of numbers that are shorter with -short: every checkpoint, adapter and golden, without the detector.
echo "pure: the pure-Go backend without vectors"
GOMLX_SIMD_AVX2=0 go test -vet=off -count=1 -timeout 40m -tags nodaulet ./logprob ./internal/arch ./implicit/train ./internal/engine \
	-run '^(TestFamilies|TestProperties|TestStates|TestMixtureBFloat16|TestAdapters|TestNewAdapter|TestWriteCheckpoint|TestNewCheckpoint|TestMerge|TestQuantisedBase|TestTuneGradients|TestGradient|TestGoldens|TestKillRun|TestTree)$'
echo "pure: the pure-Go backend with vectors of 256 bits"
go test -vet=off -count=1 -timeout 40m -tags nodaulet ./logprob ./internal/engine -run '^(TestFamilies|TestTree)$'
go test -vet=off -count=1 -short -timeout 40m -tags nodaulet ./internal/engine ./logprob -run '^(TestSelfTest|TestDefaultBackend|TestTree)'
