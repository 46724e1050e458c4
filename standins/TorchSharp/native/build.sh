#!/usr/bin/env bash
# Compiles bridge.cpp against libtorch into OUTPUT_DIR/libTorchSharpBridge.so (default: the folder `bin` beside this
# script). libtorch is the unpacked libtorch or PyTorch that LIBTORCH names, else the system's (Debian: libtorch-dev),
# else the one of python3's torch package. Does nothing when the result is up to date.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
output="${1:-$here/bin}"
source="$here/bridge.cpp"
name="libTorchSharpBridge.so"
compiler="${CXX:-g++}"

fail() {
  echo "error: $1" >&2
  exit 1
}

# Where the headers and libraries are. LIBTORCH may name a libtorch folder or a torch Python package.
includes=()
libraries=""
if [[ -n "${LIBTORCH:-}" ]]; then
  [[ -f "$LIBTORCH/include/ATen/ATen.h" ]] ||
    fail "LIBTORCH=$LIBTORCH has no include/ATen/ATen.h; name the folder of an unpacked libtorch, or unset it to use the system's."
  root="$(cd "$LIBTORCH" && pwd)"
elif [[ -f /usr/include/ATen/ATen.h ]]; then
  root=/usr
else
  root="$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null || true)"
  [[ -n "$root" && -f "$root/include/ATen/ATen.h" ]] ||
    fail "libtorch is missing: run ./lab setup (Debian: apt-get install libtorch-dev), or name an unpacked libtorch by LIBTORCH."
fi
if [[ "$root" == /usr ]]; then
  libraries="$(dirname "$("$compiler" -print-file-name=libtorch_cpu.so 2>/dev/null)")"
  [[ -e "$libraries/libtorch_cpu.so" ]] || libraries="$(ls -d /usr/lib/*/libtorch_cpu.so /usr/lib/libtorch_cpu.so 2>/dev/null | head -1 | xargs -r dirname)"
  [[ -n "$libraries" ]] || fail "libtorch's headers are installed but libtorch_cpu.so is not: run ./lab setup (Debian: apt-get install libtorch-dev)."
  includes+=(-isystem /usr/include/torch/csrc/api/include)
else
  libraries="$root/lib"
  includes+=(-isystem "$root/include" -isystem "$root/include/torch/csrc/api/include")
fi
[[ -e "$libraries/libtorch_cpu.so" ]] || fail "$libraries has no libtorch_cpu.so."
command -v "$compiler" >/dev/null || fail "the C++ compiler '$compiler' is missing: run ./lab setup (Debian: apt-get install g++)."

# Up to date when the source, this script, the compiler, and libtorch are those of the last build.
library="$(readlink -f "$libraries/libtorch_cpu.so")"
stamp="$(
  cat "$source" "${BASH_SOURCE[0]}" | sha256sum
  "$compiler" --version | head -1
  stat -c '%n %s %Y' "$library"
)"
if [[ -f "$output/$name" && -f "$output/$name.stamp" && "$(cat "$output/$name.stamp")" == "$stamp" ]]; then
  exit 0
fi

# The string ABI must be the one that libtorch was compiled with.
abi=0
if nm -D --defined-only "$libraries/libc10.so" 2>/dev/null | grep -q 'cxx11' || [[ "$root" == /usr ]]; then
  abi=1
fi
links=(-L"$libraries" -Wl,--no-as-needed -ltorch -ltorch_cpu)
if [[ -e "$libraries/libc10.so" ]]; then
  links+=(-lc10)
fi
for cuda in torch_cuda c10_cuda; do
  if [[ -e "$libraries/lib$cuda.so" ]]; then
    links+=("-l$cuda")
  fi
done
# CUDA's own libraries are found at run time through libtorch's run path, not at link time.
links+=(-Wl,--as-needed -Wl,--allow-shlib-undefined -Wl,-rpath,"$libraries")

mkdir -p "$output"
partial="$(mktemp "$output/.$name.XXXXXX")"
log="$partial.log"
trap 'rm -f "$partial" "$log"' EXIT
compile() {
  "$compiler" -std="$1" -O2 -fPIC -shared -fvisibility=hidden -D_GLIBCXX_USE_CXX11_ABI="$abi" \
    "${includes[@]}" "$source" -o "$partial" "${links[@]}" 2>"$log"
}
echo "Compiling the libtorch bridge against $library ..."
# The headers of old releases are C++17, those of new ones may be C++20.
compile c++17 || compile c++20 || {
  head -40 "$log" >&2
  fail "the libtorch bridge does not compile against $root (compiler messages above)."
}
chmod 755 "$partial"
mv -f "$partial" "$output/$name"
printf '%s\n' "$stamp" >"$output/$name.stamp"
