#!/bin/sh
# Builds every program of examples/ into bin/. They run from any folder: libtokenizers.a is linked in, and the
# XLA plugin is found in the home folder.
set -eu
cd "$(dirname "$0")/.."
programs=
[ ! -d examples ] || programs=$(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./examples/...)
if [ -z "$programs" ]; then
	echo "build: no programs in examples/"
	exit
fi
mkdir -p bin
vcs= # the commit, for -version
! git rev-parse HEAD >/dev/null 2>&1 || vcs=-buildvcs=true
# shellcheck disable=SC2086 # one word a program
go build $vcs -o bin/ $programs
echo "build: bin/ has $(for program in $programs; do basename "$program"; done | tr '\n' ' ')"
