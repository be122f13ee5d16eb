#!/usr/bin/env bash
# build.sh [TARGET ...]: configures build/ (release) and builds the targets, or all. Needs launch/setup.sh.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A source with LibTorch's headers takes up to 2 GB to compile.
memory_gib=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
jobs=$(nproc)
[ "$jobs" -le $((memory_gib / 2)) ] || jobs=$((memory_gib / 2))
[ "$jobs" -ge 1 ] || jobs=1

# A precompiled header otherwise spoils every hit of the cache.
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

# A folder that was configured elsewhere (moved, copied) or by an interrupted run is configured anew.
if [ -f build/CMakeCache.txt ] && ! grep -qx "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" build/CMakeCache.txt; then
  rm -rf build/CMakeCache.txt build/CMakeFiles
fi
if ! log=$(cmake --preset release 2>&1); then
  printf '%s\n' "$log" >&2
  echo "build: cmake failed; if a package is missing, run 'bash launch/setup.sh'" >&2
  exit 1
fi
exec ninja -C build -j "$jobs" "$@" >&2
