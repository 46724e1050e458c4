#!/usr/bin/env bash
# Builds the native engine on the oneDNN of this machine and what joins processes on its MPI, then tells what the kit finds. Words go on to `regcache doctor`.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

"$here/engine/build.sh" "$here/app"
"$here/mpi/build.sh" "$here/app"
exec "$here/regcache" doctor "$@"
