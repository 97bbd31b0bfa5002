#!/bin/sh
# Builds libfuse's examples, which bench measures, into bin/libfuse: passthrough, passthrough_ll and passthrough_hp.
#
#	libfuse.sh [SOURCE]
#
# SOURCE is a copy of https://github.com/libfuse/libfuse, which is cloned if none is given. Needs meson, ninja and a C++
# compiler: apt-get install meson ninja-build g++ libudev-dev. OUT is another directory for the programs.
set -eu
out=${OUT:-$(cd "$(dirname "$0")/../.." && pwd)/bin/libfuse}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
src=${1:-}
if [ -z "$src" ]; then
	src=$tmp/libfuse
	git clone --quiet --depth 1 https://github.com/libfuse/libfuse "$src"
fi
meson setup "$tmp/build" "$src" --buildtype=release --default-library=static -Dtests=false -Dutils=false >/dev/null
ninja -C "$tmp/build" example/passthrough example/passthrough_ll example/passthrough_hp >/dev/null
mkdir -p "$out"
cp "$tmp/build/example/passthrough" "$tmp/build/example/passthrough_ll" "$tmp/build/example/passthrough_hp" "$out"
