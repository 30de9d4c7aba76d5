#!/bin/sh
# Holds what is computed for a GPU to the same references as on the CPU: make cuda runs it. Where there is an NVIDIA
# GPU, on it. Where there is none, a stand-in for its plugin (setup/cuda/standin.c) lets the CPU compute what is made
# for the GPU, by the code that is taken there alone, and XLA's CUDA plugin compile each program for CARD: h200, or
# another of setup/cuda. That shows that the numbers are right but for the GPU's own rounding, that each program
# compiles, how long that takes and how much memory each needs; not how fast it is.
set -eu
cd "$(dirname "$0")/.."
die() { echo "cuda: $*" >&2; exit 1; }
card=setup/cuda/${CARD:-h200}.txt
[ -f "$card" ] || die "there is no $card: CARD is one of $(ls setup/cuda | sed -n 's/\.txt$//p' | tr '\n' ' ')"
setup/gpu.sh

numbers='^(TestAdapters|TestEngineDense|TestDevices|TestDevicesKinds|TestFamilies|TestProperties|TestQuantised|TestSmolLM2|TestStates|TestTrunk|TestTuneForward|TestTuneBFloat16|TestTuneGradients)$'
held() { # what is computed on a plugin
	go test -vet=off -count=1 -timeout 60m ./logprob -run "$numbers" -args -xla "$1"
	go test -vet=off -count=1 -timeout 60m ./implicit/rewardmodel -args -xla "$1"
}
if [ -e /dev/nvidia0 ]; then
	held cuda
	exit
fi

into=$PWD/.deps/cuda
rm -rf "$into"
mkdir -p "$into/programs"
cc=$(go env CC)
$cc -O1 -Wall -shared -fPIC -I"$(go list -m -f '{{.Dir}}' github.com/gomlx/go-xla)/pjrt" -o "$into/pjrt_c_api_cuda_plugin.so" setup/cuda/standin.c -ldl
STANDIN_CPU=$(find "$HOME/.local/lib/go-xla" -maxdepth 1 -name 'pjrt_c_api_cpu_*plugin.so' | sort -V | tail -n 1)
export STANDIN_CPU
export STANDIN_CUDA="$HOME/.local/lib/go-xla/nvidia/pjrt_c_api_cuda_plugin.so"
export STANDIN_CARD="$PWD/$card" STANDIN_INTO="$into/programs"
export GOPJRT_CUDA_CHECKS=0         # NVIDIA's libraries are not beside the stand-in
export TF_CPP_MIN_LOG_LEVEL=1       # nor a line for each program that it is compiled for a card which is not here
export GODEBUG=asyncpreemptoff=1    # see setup/pure.sh

echo "cuda: no GPU here: the CPU computes what is made for one, and each program is compiled for $card"
held "$into/pjrt_c_api_cuda_plugin.so"
cat "$into"/programs/* | awk '
	/^FAILED/ { failed++; print "cuda: " $0 }
	/ s, / { n++; s += $1; if ($3 > most) most = $3 }
	END { printf "cuda: %d programs compiled, in %.1f s each; at most %.0f MB beside what comes in and goes out; %d failed\n", n, s / n, most, failed
		exit failed > 0 }' || die "programs that do not compile are in $into/programs"
