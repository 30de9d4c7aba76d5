#!/bin/sh
# Checks what everything else needs: a Go new enough for go.mod, a C compiler that links with the C++ library (as cgo
# will do), and the Go modules.
set -eu
cd "$(dirname "$0")/.."
die() { echo "check: $*" >&2; exit 1; }

want=$(awk '$1 == "go" { print $2 }' go.mod)
command -v go >/dev/null || die "Go is missing: install Go $want or newer (https://go.dev/dl) and run ${AGAIN:-make} again."
if ! have=$(go env GOVERSION 2>&1); then # Go 1.21 and later fetch a newer Go by themselves, unless told not to or offline
	die "Go $want or newer is needed, and $(GOTOOLCHAIN=local go version 2>/dev/null | cut -d ' ' -f 3 || true) could not fetch it: install it (https://go.dev/dl) and run ${AGAIN:-make} again."
fi
printf '%s\n' "${have#go}" "$want" | awk -F '[.a-z]' '
	NR == 1 { a = $1 * 1000000 + $2 * 1000 + $3 }
	NR == 2 { b = $1 * 1000000 + $2 * 1000 + $3 }
	END { exit !(a >= b) }' || die "Go $want or newer is needed, this is ${have#go}: install it (https://go.dev/dl) and run ${AGAIN:-make} again."

cc=$(go env CC)
command -v "${cc%% *}" >/dev/null ||
	die "a C compiler is missing: install one (Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++; macOS: xcode-select --install) and run ${AGAIN:-make} again."
[ "$(go env CGO_ENABLED)" = 1 ] || die "CGO_ENABLED=0 is set: unset it (the tokenizers and XLA are C libraries) and run ${AGAIN:-make} again."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo 'int main(void) { return 0; }' >"$tmp/a.c"
$cc -o "$tmp/a" "$tmp/a.c" -lstdc++ -lm 2>/dev/null ||
	die "$cc cannot link with the C++ library: install g++ (Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++) and run ${AGAIN:-make} again."

if ! go mod download >"$tmp/log" 2>&1; then
	die "the Go modules could not be fetched ($(tail -n 1 "$tmp/log")): go online, or name a proxy that this machine reaches (GOPROXY), and run ${AGAIN:-make} again."
fi
