#!/bin/sh
# Provides XLA's PJRT CPU plugin where github.com/gomlx/go-xla looks for it: found, or the wheel of setup/pjrt.txt,
# or what go-xla's own installer downloads. The wheel comes first because its hash is pinned and the numbers
# that the tests hold were made with it; the installer knows arm64 too, but checks no hash.
# Nothing here is fatal: without a plugin everything runs on the pure-Go backend.
set -eu
cd "$(dirname "$0")/.."
wheel=lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so
name=pjrt_c_api_cpu_v0.115_plugin.so # go-xla takes the part between "api_" and "_plugin" for the name, and cpu_v* for cpu
old=pjrt_c_api_cpu_v0.81_plugin.so   # what this script installed before; beside another go-xla would take either, at random
without() {
	if [ -n "${found:-}" ]; then
		echo "pjrt: the XLA plugin stays $found, which is slower than today's: $*"
	else
		echo "pjrt: no XLA plugin: $*; everything still runs, on the slower pure-Go backend."
	fi
	exit 0
}

platform=$(go env GOOS)/$(go env GOARCH)
case $platform in
linux/amd64 | linux/arm64) ;;
*) without "none is provided for $platform, only for linux/amd64 and linux/arm64" ;;
esac

# The folders of go-xla's pjrt/dynamiclib_posix.go, in its order; the folder to install into is the first.
if [ -n "${PJRT_PLUGIN_LIBRARY_PATH:-}" ]; then
	folders=$(echo "$PJRT_PLUGIN_LIBRARY_PATH" | tr : '\n' | grep .)
else
	folders=$(
		printf '%s\n' "$HOME/.local/lib/go-xla" "$HOME/.local/lib/gomlx/pjrt" /usr/local/lib/go-xla /usr/local/lib/gomlx/pjrt
		echo "${LD_LIBRARY_PATH:-}" | tr : '\n' | grep '^/' || true
		cat /etc/ld.so.conf /etc/ld.so.conf.d/*.conf 2>/dev/null | grep '^ */' | tr -d ' ' || true
	)
fi
into=$(echo "$folders" | head -n 1)
[ ! -s "$into/$name" ] || rm -f "$into/$old"
found=$(echo "$folders" | while read -r folder; do
	for file in "$folder"/pjrt_c_api_cpu_plugin.so "$folder"/pjrt_c_api_cpu_v*_plugin.so "$folder"/pjrt[-_]plugin[-_]cpu.so "$folder"/pjrt[-_]plugin[-_]cpu_v*.so; do
		[ -s "$file" ] && echo "$file"
	done
done | head -n 1) || true
[ -z "$found" ] || [ "$found" = "$into/$old" ] || exit 0

{ mkdir -p "$into" && [ -w "$into" ]; } 2>/dev/null || without "$into cannot be written"
tmp=$(mktemp -d "$into/.making.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
put() { mv -f "$tmp/$1" "$into/$2" && rm -f "$into/$old" && echo "pjrt: installed $into/$2, $3"; }

setup=${SETUP:-go run ./setup} # words
said() { echo "$log" | grep -v '^exit status' | tail -n 1 | sed 's/^setup: //'; }
if [ "$platform" = linux/amd64 ]; then
	echo "pjrt: fetching the XLA plugin (63 MB) ..."
	# shellcheck disable=SC2086
	if log=$($setup fetch setup/pjrt.txt "$tmp" 2>&1); then
		put "$wheel" "$name" "from the wheel lammps-jax-pjrt-cpu 0.11.2"
		exit
	fi
	echo "pjrt: that failed: $(said)"
fi

echo "pjrt: trying go-xla's own installer ..."
# shellcheck disable=SC2086
if log=$($setup plugin "$tmp" 2>&1) && file=$(cd "$tmp" && ls pjrt_c_api_cpu_v*_plugin.so); then
	put "$file" "$file" "by go-xla's installer"
	exit
fi
echo "pjrt: that failed: $(said)"
without "neither its package nor its release could be had; go online, or name an index that this machine reaches (PIP_INDEX_URL), and run ${AGAIN:-make deps} again"
