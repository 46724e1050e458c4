#!/usr/bin/env bash
# Compiles mpi.c with the MPI at hand into OUTPUT_DIR/libRegCacheMpi.so (default: the folder of this script). MPICC names the compiler of another MPI.
# Does nothing when the result is up to date. Without an MPI (Debian: apt-get install openmpi-bin libopenmpi-dev) the kit runs in one process, so
# this script says so and succeeds.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
output="${1:-$here}"
name="libRegCacheMpi.so"
compiler="${MPICC:-mpicc}"

without() {
  rm -f "$output/$name" "$output/$name.stamp"
  echo "Many processes are left out: $1"
  exit 0
}

command -v "$compiler" >/dev/null || without "MPI's compiler '$compiler' is missing (Debian: apt-get install openmpi-bin libopenmpi-dev)."

# Up to date when the source, this script and the MPI are those of the last build.
stamp="$(
  cat "$here/mpi.c" "${BASH_SOURCE[0]}" | sha256sum
  "$compiler" -show 2>/dev/null || command -v "$compiler"
)"
if [[ -f "$output/$name" && -f "$output/$name.stamp" && "$(<"$output/$name.stamp")" == "$stamp" ]]; then
  exit 0
fi

mkdir -p "$output"
if ! messages="$("$compiler" -O2 -Wall -Wextra -fPIC -fvisibility=hidden -shared "$here/mpi.c" -o "$output/$name.$$" 2>&1)"; then
  rm -f "$output/$name.$$"
  printf '%s\n' "$messages" | head -20 >&2
  without "mpi.c does not compile with '$compiler' (messages above)."
fi
mv -f "$output/$name.$$" "$output/$name"
printf '%s\n' "$stamp" >"$output/$name.stamp"
