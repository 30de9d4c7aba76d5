#!/bin/sh
# Runs each fuzz target for FUZZTIME (default 30s); go test takes one at a time. Of an input that
# is new it tries 20 shorter ones: by default it does so for a minute each, and FuzzGGUF for nothing else.
set -eu
cd "$(dirname "$0")/.."
grep -rl --include='*_test.go' '^func Fuzz' ./*/ 2>/dev/null | while read -r file; do
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
		echo "fuzz: $target in $(dirname "$file")"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" -fuzzminimizetime 20x "$(dirname "$file")" </dev/null || exit
	done || exit
done
