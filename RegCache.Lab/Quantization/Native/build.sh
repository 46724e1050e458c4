#!/usr/bin/env bash
# Compiles this folder against oneDNN, version 2 or 3, into OUTPUT_DIR/libRegCacheInt8.so (default: the folder `bin` beside
# this script), and mkl.c into libRegCacheMkl.so. oneDNN is the one in the folder that ONEDNN names, else the system's (Debian: libdnnl-dev). Does nothing
# when the result is up to date. The kit works without the library, slower: where the compiler or oneDNN is missing this
# script says so and succeeds.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
output="${1:-$here/bin}"
name="libRegCacheInt8.so"
compiler="${CXX:-g++}"

without() {
  rm -f "$output/$name" "$output/$name.stamp"
  echo "Integer execution is left out: $1 Quantized layers will be simulated, float products run in libtorch."
  exit 0
}

command -v "$compiler" >/dev/null || without "the C++ compiler '$compiler' is missing (Debian: apt-get install g++)."

mkdir -p "$output"
if [[ ! "$output/libRegCacheMkl.so" -nt "$here/mkl.c" ]]; then
  # Only Linux takes it, and only speed depends on it.
  if "$compiler" -x c -O2 -fPIC -shared -nostdlib "$here/mkl.c" -o "$output/libRegCacheMkl.so.$$" 2>/dev/null; then
    mv -f "$output/libRegCacheMkl.so.$$" "$output/libRegCacheMkl.so"
  fi
fi

includes=()
links=(-ldnnl)
if [[ -n "${ONEDNN:-}" ]]; then
  [[ -f "$ONEDNN/include/oneapi/dnnl/dnnl.hpp" ]] || without "ONEDNN=$ONEDNN has no include/oneapi/dnnl/dnnl.hpp."
  includes=(-isystem "$ONEDNN/include")
  links=(-L"$ONEDNN/lib" -Wl,-rpath,"$ONEDNN/lib" -ldnnl)
fi
version="$(printf '#include <oneapi/dnnl/dnnl_version.h>\nDNNL_VERSION_MAJOR.DNNL_VERSION_MINOR.DNNL_VERSION_PATCH\n' |
  "$compiler" "${includes[@]}" -E -P -x c++ - 2>/dev/null | tail -1)" || without "oneDNN's headers are missing (Debian: apt-get install libdnnl-dev)."

# Up to date when the sources, this script, the compiler and oneDNN's version are those of the last build.
stamp="$(
  cat "$here"/*.cpp "$here"/*.h "${BASH_SOURCE[0]}" | sha256sum
  "$compiler" --version | head -1
  echo "$version"
  echo "${ONEDNN:-}"
)"
if [[ -f "$output/$name" && -f "$output/$name.stamp" && "$(<"$output/$name.stamp")" == "$stamp" ]]; then
  exit 0
fi

work="$(mktemp -d "$output/.$name.XXXXXX")"
trap 'rm -rf "$work"' EXIT
common=(-std=c++17 -O3 -fPIC -fopenmp -fvisibility=hidden -fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-psabi)
levels=("base:")
if [[ "$("$compiler" -dumpmachine)" == x86_64* ]]; then
  levels+=("v3:-march=x86-64-v3" "v4:-march=x86-64-v4 -mprefer-vector-width=512")
fi

commands() {
  local source level
  for source in tables dispatch products layer block int8; do
    echo "$here/$source.cpp -o $work/$source.o"
  done
  for level in "${levels[@]}"; do
    for source in rows attention level; do
      echo "-DRC_LEVEL=${level%%:*} ${level#*:} $here/$source.cpp -o $work/$source.${level%%:*}.o"
    done
  done
}

echo "Compiling the integer kernels against oneDNN ..."
if commands | xargs -P "$(nproc)" -I{} bash -c '"$@" $0' {} "$compiler" "${common[@]}" "${includes[@]}" -c 2>"$work/log" &&
  "$compiler" -shared -fopenmp "$work"/*.o -o "$work/$name" "${links[@]}" -Wl,--no-undefined 2>>"$work/log"; then
  chmod 755 "$work/$name"
  mv -f "$work/$name" "$output/$name"
  printf '%s\n' "$stamp" >"$output/$name.stamp"
else
  head -40 "$work/log" >&2
  without "it does not compile with this oneDNN (compiler messages above)."
fi
