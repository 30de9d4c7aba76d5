#!/bin/sh
# Provides .deps/venv-accept: the Python packages of setup/accept.txt on top of those of .deps/venv-peers, which the
# server's acceptance test runs as clients. A copy of the lists in the folder says what is installed: while they are
# the present ones there is nothing to do.
set -eu
cd "$(dirname "$0")/.."
venv=.deps/venv-accept
peers=.deps/venv-peers
die() { echo "accept: $*" >&2; exit 1; }
setup/peers.sh
! cat setup/peers.txt setup/accept.txt | cmp -s - $venv/made || exit 0

tmp=$(mktemp -d .deps/making.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
echo "accept: setting up Python in $venv: openai, inspect_ai, schemathesis (80 MB to fetch) ..."
rm -rf $venv
$peers/bin/python -m venv $venv >"$tmp/log" 2>&1 || die "Python's venv module does not work: $(tail -n 1 "$tmp/log")"
site='import sysconfig; print(sysconfig.get_path("purelib"))'
$peers/bin/python -c "$site" >"$($venv/bin/python -c "$site")/peers.pth"
$venv/bin/python -m pip --disable-pip-version-check --quiet --retries 1 install --no-cache-dir --no-deps -r setup/accept.txt >"$tmp/log" 2>&1 ||
	die "pip could not install the clients ($(grep -m 1 ERROR "$tmp/log")): go online and run make accept again."
$venv/bin/python -c 'import lm_eval.models.openai_completions, openai, inspect_ai.model, schemathesis, tenacity' 2>"$tmp/log" ||
	die "the clients do not start: $(tail -n 1 "$tmp/log")"
cat setup/peers.txt setup/accept.txt >$venv/made
