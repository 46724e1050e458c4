#!/usr/bin/env bash
# The same stages with Open MPI's mpirun, on a node of your choice.
#
#   DATA=/data/sharegpt4v MODEL=/models/ViT-B-16.pt jobs/mpirun.sh distill [options]
#   NODE=node7 DATA=... MODEL=... jobs/mpirun.sh finetune
#
# One process trains. It uses all cores of its node, so it is bound to none.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exported=()
for name in DATA MODEL TOKENIZER RUNS DEVICE STUDENT FINETUNED REGCACHE; do
  [ -z "${!name:-}" ] || exported+=(-x "$name")
done

exec mpirun -np 1 --bind-to none ${NODE:+--host "$NODE"} "${exported[@]}" "$here/stage.sh" "$@"
