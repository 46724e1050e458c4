#!/usr/bin/env bash
# One stage of memory-augmented CLIP: distill, finetune, clip or study. The files beside this one start it on a cluster.
#
#   DATA=/data/sharegpt4v MODEL=/models/ViT-B-16.pt jobs/stage.sh distill [options of the command, which win]
#
# DATA        what `regcache data make sharegpt4v` made: train/*.tar and val/*.tar
# MODEL       OpenAI's ViT-B-16, a weight file or model folder
# TOKENIZER   its vocabulary; if absent, the one beside MODEL
# RUNS        where run directories go; if absent, runs/
# DEVICE      cuda or cpu; if absent, cuda
# REGCACHE    the command; if absent, the script `lab` of this repository, or `regcache` of a bundle
#
# A stage that was stopped goes on from its newest checkpoint when it is started again with as many processes. Where there are fewer than the released
# code has, --accum-freq makes up for them, so that a step sees as many pairs.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
usage="usage: jobs/stage.sh distill|finetune|clip|study [options]"
stage=${1:?$usage}
shift

processes=${OMPI_COMM_WORLD_SIZE:-${PMI_SIZE:-${SLURM_STEP_NUM_TASKS:-1}}}
regcache=${REGCACHE:-$root/lab}
[ -x "$regcache" ] || regcache=$root/regcache
runs=${RUNS:-$root/runs}
model=${MODEL:?name the weights of ViT-B-16 in MODEL}
device=${DEVICE:-cuda}

# accumulate TOTAL: micro-batches of a process, where all processes have TOTAL in a step.
accumulate() {
  if [ $(($1 % processes)) -ne 0 ]; then
    echo "error: a step has $1 micro-batches, which $processes processes cannot share evenly; start a number that divides $1, or give --accum-freq yourself." >&2
    exit 2
  fi
  echo $(($1 / processes))
}

run() { echo "+ $*" >&2; exec "$@"; }

# What the three trainings share. Shards are counted here, because their number depends on which images there are.
train() {
  local data=${DATA:?name the folder that regcache data make sharegpt4v made in DATA}
  local shards=("$data"/train/*.tar) last
  [ -e "${shards[0]}" ] || { echo "error: $data/train has no shards: make them with regcache data make sharegpt4v --out $data." >&2; exit 2; }
  last=$(basename "${shards[-1]}" .tar)
  run "$regcache" train "$@" \
    --train-data "$data/train/{000000..$last}.tar" \
    --val-data "$data/val/000000.tar" \
    --model ViT-B-16 \
    --pretrained "$model" \
    ${TOKENIZER:+--tokenizer "$TOKENIZER"} \
    --use-memory \
    --wd 0.1 \
    --warmup 1000 \
    --precision amp_bf16 \
    --grad-checkpointing \
    --save-frequency 1 \
    --val-frequency 1 \
    --log-every-n-steps 100 \
    --report-to tensorboard \
    --device "$device" \
    ${SLURM_CPUS_PER_TASK:+--threads "$SLURM_CPUS_PER_TASK"}
}

case $stage in
  # torchrun --nproc_per_node 4 -m src.open_clip_train.main_distill_memory -- --use-memory --loss-type "cosine" --dataset_name "sharegpt4v"
  #   --early_stop_patience 3 --early_stop_min_delta 0.005 --batch-size=20 --accum-freq 4 --lr=5e-4 --epochs=40 ...
  distill)
    accum=$(accumulate 16)
    train distill --loss-type cosine --dataset_name sharegpt4v --early_stop_patience 3 --early_stop_min_delta 0.005 \
      --batch-size 20 --accum-freq "$accum" --lr 5e-4 --epochs 40 --run-dir "$runs/memory-distill" "$@"
    ;;
  # torchrun --nproc_per_node 4 -m src.open_clip_train.main_vision_context_finetune -- --use-memory --student-model '' --dataset_name "sharegpt4v"
  #   --batch-size=32 --accum-freq 2 --lr=1e-5 --epochs=10 ...
  finetune)
    accum=$(accumulate 8)
    train finetune --student-model "${STUDENT:-$runs/memory-distill/best}" --dataset_name sharegpt4v \
      --batch-size 32 --accum-freq "$accum" --lr 1e-5 --epochs 10 --run-dir "$runs/memory-finetune" "$@"
    ;;
  # torchrun --nproc_per_node 2 -m src.open_clip_train.main -- --use-memory --batch-size=20 --accum-freq 4 --lr=5e-4 --epochs=10 ...
  clip)
    accum=$(accumulate 8)
    train clip --batch-size 20 --accum-freq "$accum" --lr 5e-4 --epochs 10 --run-dir "$runs/memory-clip" "$@"
    ;;
  # torchrun --nproc_per_node 1 -m eval_run -- --model ViT-B-16 --pretrained "openai" --distilled_model_path "" --use-memory --retrieval-coco
  #   --retrieval-flickr --retrieval-docci --retrieval-urban-1k --retrieval-iiw --retrieval-dci ...
  # The sets' folders are in COCO_DATA_ROOT, FLICKR30K_DATA_ROOT, ... (docs/methods/clip.md).
  study)
    run "$regcache" study memory --teacher "$model" --model-config ViT-B-16 --pretrained openai \
      --distilled "${STUDENT:-$runs/memory-distill/best}" --finetuned "${FINETUNED:-$runs/memory-finetune/model}" \
      --batch 128 --device "$device" --run-dir "$runs/memory-study" "$@"
    ;;
  *)
    echo "error: there is no stage '$stage'; $usage" >&2
    exit 2
    ;;
esac
