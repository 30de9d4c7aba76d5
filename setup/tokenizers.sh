#!/bin/sh
# Provides .deps/lib/libtokenizers.a, the Rust half of github.com/daulet/tokenizers in the version of go.mod (for
# those who import the module, setup/main.go names another folder and the version):
# found (there, in /usr/local/lib or /usr/lib, or the file that TOKENIZERS_LIB names), or the project's own
# release, or built with cargo from the module's source, which is on this machine and checked by go.sum.
# The module refuses to link with another version than its own, by the name of one symbol: it is the test here too.
# (The release's checksum is published nowhere, so the symbol and https are all that vouch for it.)
set -eu
cd "$(dirname "$0")/.."
into=${TOKENIZERS_INTO:-.deps/lib}
lib=$into/libtokenizers.a
again="run ${AGAIN:-make} again"
version=${TOKENIZERS_VERSION:-$(awk '/github.com\/daulet\/tokenizers / { for (i = 1; i <= NF; i++) if ($i ~ /^v[0-9]/) print substr($i, 2) }' go.mod)}
symbol=tokenizers_version_$(echo "$version" | tr . _)

die() { echo "tokenizers: $*" >&2; exit 1; }
right() { [ -f "$1" ] && LC_ALL=C grep -q "$symbol" "$1"; }
# Everything is made in a temporary folder and renamed: an interrupted or a second run finds all or nothing.
put() { mv -f "$1" "$lib" && echo "tokenizers: $lib is version $version, $2"; }

mkdir -p "$into"
[ -z "${TOKENIZERS_LIB:-}" ] || right "$TOKENIZERS_LIB" ||
	die "TOKENIZERS_LIB=$TOKENIZERS_LIB is no libtokenizers.a of version $version (it lacks the symbol $symbol)."
[ -z "${TOKENIZERS_LIB:-}" ] && right "$lib" && exit

tmp=$(mktemp -d "$into/making.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
for found in "${TOKENIZERS_LIB:-}" /usr/local/lib/libtokenizers.a /usr/lib/libtokenizers.a; do
	if right "$found"; then
		cp "$found" "$tmp/found.a"
		put "$tmp/found.a" "copied from $found"
		exit
	fi
done

# The release: quick to fail, so that a machine behind a wall goes on to cargo.
platform=$(go env GOOS)-$(go env GOARCH)
[ "$platform" = darwin-amd64 ] && platform=darwin-x86_64
url=https://github.com/daulet/tokenizers/releases/download/v$version/libtokenizers.$platform.tar.gz
fetch() {
	if command -v curl >/dev/null; then
		curl -fsSL --connect-timeout 5 --speed-limit 10000 --speed-time 15 --max-time 300 -o "$1" "$2"
	else
		wget -q --tries=1 --timeout=15 -O "$1" "$2"
	fi
}
if fetch "$tmp/release.tar.gz" "$url" 2>/dev/null && tar -xzf "$tmp/release.tar.gz" -C "$tmp" 2>/dev/null && right "$tmp/libtokenizers.a"; then
	put "$tmp/libtokenizers.a" "from $url"
	exit
fi

cargo=$(command -v cargo || echo "$HOME/.cargo/bin/cargo")
[ -x "$cargo" ] || die "no release of libtokenizers.a $version for $platform could be fetched and there is no cargo to build it: go online, or install Rust (https://rustup.rs), or name the library (TOKENIZERS_LIB=/path/libtokenizers.a in the environment), and $again; without it, go build -tags nodaulet builds the libraries for token ids only."
# A cargo of rustup keeps its compilers in the folder beside its own, wherever HOME is now.
beside=$(dirname "$(dirname "$(dirname "$cargo")")")/.rustup
if [ -z "${RUSTUP_HOME:-}" ] && [ ! -d "$HOME/.rustup/toolchains" ] && [ -d "$beside/toolchains" ]; then
	export RUSTUP_HOME="$beside"
fi
source=$(go mod download -json "github.com/daulet/tokenizers@v$version" 2>/dev/null | awk -F '"' '$2 == "Dir" { print $4 }') || true
[ -d "$source" ] || die "the source of github.com/daulet/tokenizers v$version could not be fetched: go online and $again."
log=$into/tokenizers.log
echo "tokenizers: building libtokenizers.a $version with cargo, a minute or two ..."
cp -R "$source/." "$tmp/source"
chmod -R u+w "$tmp/source"
# The module takes tiktoken-rs from a git branch that has moved on; 0.9.1 of the registry is the release nearest to what
# the module's lock file names. All the rest stays as locked there.
sed 's|^tiktoken-rs = .*|tiktoken-rs = "=0.9.1"|' "$source/crates/tokenizers/Cargo.toml" >"$tmp/source/crates/tokenizers/Cargo.toml"
if ! (unset CARGO_BUILD_TARGET RUSTFLAGS && cd "$tmp/source" && "$cargo" build --release -p tokenizers-ffi --target-dir target) >"$log" 2>&1; then
	die "cargo could not build libtokenizers.a ($(grep -m 1 '^error' "$log" || tail -n 1 "$log")); cargo needs Rust 1.78 or newer and the network once: update (rustup update) or go online and $again (all of its output: $log)."
fi
right "$tmp/source/target/release/libtokenizers_ffi.a" || die "cargo built a library without the symbol $symbol (its output: $log)."
rm -f "$log"
put "$tmp/source/target/release/libtokenizers_ffi.a" "built with cargo"
