#!/bin/sh
# examples/beam is a module of its own, whose thousand packages the library does not need: go vet and its tests, or,
# with the argument build, the program in bin/. The first time on a machine they take five minutes of a core to compile.
set -eu
cd "$(dirname "$0")/../examples/beam"

go mod download >/dev/null 2>&1 || { echo "beam: its modules could not be fetched: go online and run this again." >&2; exit 1; }
if [ "${1:-}" = build ]; then
	mkdir -p ../../bin
	vcs= # the commit, for -version
	! git rev-parse HEAD >/dev/null 2>&1 || vcs=-buildvcs=true
	go build $vcs -o ../../bin/ .
	echo "beam: bin/ has beam"
	exit
fi
echo "beam: go vet"
go vet ./...
echo "beam: go test"
go run github.com/implicitreward/implicitreward/setup/gotest -vet=off ./...
