#!/bin/sh
# Provides .deps/venv-peers: the Python packages of setup/peers.txt, which make bench measures ours against. A copy of
# the list in the folder says what is installed: while it is the present one there is nothing to do.
set -eu
cd "$(dirname "$0")/.."
venv=.deps/venv-peers
die() { echo "peers: $*" >&2; exit 1; }
! cmp -s setup/peers.txt $venv/made || exit 0

for python in python3 python; do
	$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
	python=
done
[ -n "$python" ] || die "Python 3.11 or newer is needed for the programs to compare with: install it and run make bench again."
mkdir -p .deps
[ "$(df -Pk .deps | awk 'NR == 2 { print $4 }')" -gt 12000000 ] || die "the programs to compare with take 6 GB and as much while they are installed, and .deps is on a disk with less than 12 GB free."

tmp=$(mktemp -d .deps/making.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
echo "peers: setting up Python in $venv: torch, transformers, lm-eval, minicons, trl (3 GB to fetch) ..."
rm -rf $venv
$python -m venv $venv >"$tmp/log" 2>&1 ||
	die "Python's venv module is missing: install it (Debian, Ubuntu: apt install python3-venv) and run make bench again."
# word2number is published as source only.
$venv/bin/python -m pip --disable-pip-version-check --quiet --retries 1 install --no-cache-dir --no-deps -r setup/peers.txt >"$tmp/log" 2>&1 ||
	die "pip could not install the programs to compare with ($(grep -m 1 ERROR "$tmp/log")): go online and run make bench again."
$venv/bin/python -c 'import torch, transformers, lm_eval.models.huggingface, minicons.scorer; from trl import RewardTrainer' 2>"$tmp/log" ||
	die "the programs to compare with do not start: $(tail -n 1 "$tmp/log")"
cp setup/peers.txt $venv/made
