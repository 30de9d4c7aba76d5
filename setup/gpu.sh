#!/bin/sh
# Provides XLA's PJRT CUDA plugin and NVIDIA's libraries where github.com/gomlx/go-xla looks for them, from the wheels
# of setup/gpu.txt, whose hashes are pinned: make deps GPU=1 runs it. The layout is that of go-xla's own installer
# (installer/cuda.go), in which the plugin's rpath finds the libraries beside it. A copy of the list in the folder says
# what is installed: while it is the present one there is nothing to do.
# On a machine without an NVIDIA GPU go-xla hides the plugin, and everything runs as before.
set -eu
cd "$(dirname "$0")/.."
parent=$HOME/.local/lib/go-xla
into=$parent/nvidia
die() { echo "gpu: $*" >&2; exit 1; }

platform=$(go env GOOS)/$(go env GOARCH)
[ "$platform" = linux/amd64 ] || die "XLA's CUDA plugin is provided for linux/amd64 only, this is $platform."
! cmp -s setup/gpu.txt "$into/made" || exit 0
if [ -e "$into" ] && [ ! -e "$into/made" ]; then
	die "$into is there and not of this script: move it away, or use it as it is without GPU=1."
fi
{ mkdir -p "$parent" && [ -w "$parent" ]; } 2>/dev/null || die "$parent cannot be written."
[ "$(df -Pk "$parent" | awk 'NR == 2 { print $4 }')" -gt 8000000 ] || die "the plugin and its libraries take 4 GB and half as much while they are installed, and $parent is on a disk with less than 8 GB free."

tmp=$(mktemp -d "$parent/.making.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
echo "gpu: fetching XLA's CUDA plugin and NVIDIA's libraries (2.5 GB) ..."
mkdir "$tmp/all"
go run ./setup fetch setup/gpu.txt "$tmp/all" 2>"$tmp/log" ||
	die "they could not be fetched ($(grep -v '^exit status' "$tmp/log" | tail -n 1)): go online, or name an index that this machine reaches (PIP_INDEX_URL), and run make deps GPU=1 again."
mv "$tmp/all/jax_plugins/xla_cuda13/xla_cuda_plugin.so" "$tmp/all/nvidia/pjrt_c_api_cuda_plugin.so"
mkdir -p "$tmp/all/nvidia/bin"
ln -sf ../cu13/bin/ptxas "$tmp/all/nvidia/bin/ptxas"
cp setup/gpu.txt "$tmp/all/nvidia/made"
rm -rf "$into"
mv "$tmp/all/nvidia" "$into"
for lib in libcublas.so.13 libcublasLt.so.13; do # which are not found by their rpath, says go-xla
	ln -sf "go-xla/nvidia/cu13/lib/$lib" "$parent/../$lib"
done
echo "gpu: installed $into, from the wheel $(grep -o '^jax-cuda13-pjrt==[^ ]*' setup/gpu.txt | tr -s = ' '): -backend xla:cuda"
