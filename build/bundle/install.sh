#!/usr/bin/env bash
# Builds the bridge to the libtorch of this machine and the integer kernels on its oneDNN, then tells what the kit finds. Words go on to `regcache doctor`.
#
# libtorch is the unpacked libtorch or PyTorch package that LIBTORCH names, else the system's, else that of python3's torch.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

"$here/native/build.sh" "$here/app"
"$here/native/int8/build.sh" "$here/app"
exec "$here/regcache" doctor "$@"
