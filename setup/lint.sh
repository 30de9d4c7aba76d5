#!/bin/sh
# gofmt, go vet (also without the cgo tokenizers) and staticcheck over all packages.
set -eu
cd "$(dirname "$0")/.."
staticcheck=v0.8.2

echo "lint: gofmt"
bad=$(find . -name '.?*' -prune -o -name '*.go' -exec gofmt -l {} +)
[ -z "$bad" ] || { printf 'lint: not formatted, run gofmt -w on:\n%s\n' "$bad" >&2; exit 1; }

echo "lint: go vet"
go vet ./...
go vet -tags nodaulet ./...

tool=.deps/tools/staticcheck-$staticcheck
if [ ! -x "$tool" ]; then
	echo "lint: building staticcheck $staticcheck"
	mkdir -p .deps/tools
	tmp=$(mktemp -d .deps/tools/making.XXXXXX)
	trap 'rm -rf "$tmp"' EXIT
	GOBIN="$PWD/$tmp" go install honnef.co/go/tools/cmd/staticcheck@$staticcheck >"$tmp/log" 2>&1 ||
		{ echo "lint: staticcheck $staticcheck could not be fetched and built ($(tail -n 1 "$tmp/log")): go online and run make test again." >&2; exit 1; }
	mv -f "$tmp/staticcheck" "$tool"
fi
echo "lint: staticcheck"
"$tool" ./...
