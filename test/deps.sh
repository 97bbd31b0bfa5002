#!/bin/bash
# Sees to it that every tool the tests call is there: installs with apt-get what is missing and names what stays so.
# Arguments are more tools, whose packages are called like them, that not every run needs.
set -euo pipefail

# tool, or file that proves it is there, and the Debian package that brings it
want=(
	"make make"
	"git git"
	"tar tar"
	"diff diffutils"
	"fio fio"
	"dbench dbench"
	"/usr/share/dbench/client.txt dbench"
	"stress-ng stress-ng"
	"sqlite3 sqlite3"
	"fusermount3 fuse3"
	"umount mount"
	"gcc gcc"                         # the race detector links with it, and tests compile C
	"ar binutils"
	"/usr/include/stdlib.h libc6-dev" # likewise
)

for tool in "$@"; do
	want+=("$tool $tool")
done

have() {
	case $1 in
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

missing() {
	for w in "${want[@]}"; do
		read -r tool pkg <<<"$w"
		have "$tool" || echo "$pkg"
	done
}

if ! command -v go >/dev/null; then
	echo "deps: go is missing: install Go 1.26 or newer from https://go.dev/dl/ and put it on PATH" >&2
	exit 1
fi

mapfile -t pkgs < <(missing)
if [ ${#pkgs[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "deps: installing ${pkgs[*]}"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	apt-get install -y -q --no-install-recommends "${pkgs[@]}" >"$log" 2>&1 ||
		{ apt-get update -q && apt-get install -y -q --no-install-recommends "${pkgs[@]}"; } >"$log" 2>&1 ||
		cat "$log" >&2
	rm -f "$log"
	mapfile -t pkgs < <(missing)
fi
if [ ${#pkgs[@]} -gt 0 ]; then
	echo "deps: missing, and could not be installed: ${pkgs[*]}" >&2
	exit 1
fi

if [ ! -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
	modprobe fuse 2>/dev/null || true
	[ -e /dev/fuse ] || echo "deps: no /dev/fuse: tests that mount will be skipped, with the reason" >&2
fi
