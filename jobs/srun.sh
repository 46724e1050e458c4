#!/usr/bin/env bash
# Starts a program in every task of a SLURM job, one process each, which find each other by MPI. The .sbatch files beside this one end with it.
#
#   MPI    how processes find each other, of what `srun --mpi=list` tells; if absent, pmix
#
# A task that dies ends the others: they would wait for it. The same job, submitted again, goes on from the last checkpoint.
set -euo pipefail

tasks=${SLURM_NTASKS:-1}
options=(--ntasks="$tasks" --cpus-per-task="${SLURM_CPUS_PER_TASK:-16}" --kill-on-bad-exit=1)
[ "$tasks" -eq 1 ] || options+=(--mpi="${MPI:-pmix}")
exec srun "${options[@]}" "$@"
