#!/bin/sh
# Writes the manual pages of the programs in bin/, and their completions for bash, zsh and fish, into bin/share, in the
# layout that --prefix installations have: share/man/man1, share/bash-completion/completions and so on.
set -eu
cd "$(dirname "$0")/.."
share=bin/share
bash=$share/bash-completion/completions zsh=$share/zsh/site-functions fish=$share/fish/vendor_completions.d
mkdir -p $share/man/man1 $bash $zsh $fish
for program in bin/*; do
	[ -f "$program" ] || continue
	name=$(basename "$program")
	"$program" -man >"$share/man/man1/$name.1"
	"$program" -completion bash >"$bash/$name"
	"$program" -completion zsh >"$zsh/_$name"
	"$program" -completion fish >"$fish/$name.fish"
done
echo "man: $share has manual pages and completions"
