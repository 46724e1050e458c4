#!/bin/sh
# Trains small classifiers on the generated set in CIFAR-10's form, with class token and registers entering before different blocks, and
# prints a row for each training: registers, cls_pos, reg_pos, seed, top-1, top-5, test loss, seconds.
# Usage: jobs/late-token-grid.sh FOLDER [SEEDS]     REGCACHE names the command; a folder that has some of the runs is continued.
set -eu
folder=$1
seeds=${2:-"0 1"}
regcache=${REGCACHE:-./lab}
data=$folder/shapes-cifar
[ -e "$data/test_batch.bin" ] || $regcache data make shapes --format cifar --out "$data" --count 8000 >&2
for seed in $seeds; do
  for place in "0 0 0" "0 3 0" "0 6 0" "4 0 0" "4 0 3" "4 3 0" "4 3 3" "4 6 0" "4 6 3"; do
    set -- $place
    run=$folder/r$1-cls$2-reg$3-seed$seed
    if [ ! -e "$run/result.json" ]; then
      started=$(date +%s)
      $regcache train vit --dataset cifar10 --data-path "$data" --input-size 32 --patch-size 4 --embed-dim 48 --num-heads 3 --depth 8 \
        --num-reg "$1" --cls-pos "$2" --reg-pos "$3" --seed "$seed" --epochs 4 --warmup-epochs 1 --warmup-lr 3e-4 --batch-size 64 \
        --opt adamw --lr 1.5e-3 --unscale-lr --weight-decay 0.05 --drop-path 0 --smoothing 0 --mixup 0 --cutmix 0 --aa none --color-jitter 0 \
        --reprob 0 --repeated-aug false --val-frequency 4 --threads 1 --workers 1 --run-dir "$run" >&2
      echo $(($(date +%s) - started)) > "$run/seconds"
    fi
    sed -n '$s/.*"test_loss":\([^,]*\),"test_acc1":\([^,]*\),"test_acc5":\([^,]*\),.*/\2 \3 \1/p' "$run/log.txt" |
      { read -r top1 top5 loss; printf '%s %s %s %s %.2f %.2f %.4f %s\n' "$1" "$2" "$3" "$seed" "$top1" "$top5" "$loss" "$(cat "$run/seconds")"; }
  done
done
