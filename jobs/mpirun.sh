#!/usr/bin/env bash
# The same stages with Open MPI's mpirun, on this machine or on nodes of your choice.
#
#   DATA=/data/sharegpt4v MODEL=/models/ViT-B-16.pt jobs/mpirun.sh distill [options]                                                       one process
#   PROCESSES=4 DATA=... MODEL=... jobs/mpirun.sh distill                                                                  four, with a GPU each
#   PROCESSES=8 NODES=node7:4,node8:4 DATA=... MODEL=... jobs/mpirun.sh finetune                                                 two nodes with four
#
# Processes are not bound to cores: each takes its part of a machine's. When the job is told to end (Ctrl-C, SIGTERM), mpirun hands that on after 15 s, and
# the processes have as long for a checkpoint.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nodes=${NODES:-${NODE:-}}
exported=()
for name in DATA MODEL TOKENIZER RUNS DEVICE STUDENT FINETUNED REGCACHE; do
  [ -z "${!name:-}" ] || exported+=(-x "$name")
done

exec mpirun -np "${PROCESSES:-1}" --bind-to none --mca odls_base_sigkill_timeout 15 ${nodes:+--host "$nodes"} "${exported[@]}" "$here/stage.sh" "$@"
