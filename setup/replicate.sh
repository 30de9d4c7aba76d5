#!/bin/sh
# Runs the paper in a box into replicate.out (or goes on with it), and brings its page of results and the figures into
# examples/replicate, where they are committed.
set -eu
cd "$(dirname "$0")/.."
resume=
[ ! -d replicate.out ] || resume=-resume
# shellcheck disable=SC2086 # nothing or one flag
bin/replicate -out replicate.out $resume -date "$(date +%F)"
for file in training.png differences.png; do
	cp replicate.out/$file examples/replicate/$file
done
cp replicate.out/results.md examples/replicate/RESULTS.md
echo "replicate: examples/replicate/RESULTS.md, and replicate.out/study/report.html"
