#!/bin/sh
# Six boundary types x two seeds on the Brown corpus, about 3 million parameters, the same text for all; one table.
# Usage: brown_lm.sh FOLDER [STEPS] [LENGTH] [BATCH]; a run that was stopped goes on. Needs npm, Python and a built kit.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=$1 steps=${2:-2000} length=${3:-256} batch=${4:-16}
[ -e "$folder/brown/test.txt" ] || python3 "$here/brown_corpus.py" "$folder/brown"
for seed in 1 2; do
  for type in none fixed whitespaces unigram entropy gumbel; do
    case $type in none) layers="[6, (0,), 0]" ;; *) layers="[1, (4,), 1]" ;; esac
    run="$folder/$type-seed$seed"
    [ -e "$run/scores.csv" ] && continue
    "$root/lab" train lm --data "$folder/brown" --run-dir "$run" --seed "$seed" --boundaries-type "$type" --model-config "$layers" \
      --d-model 192 --n-head 4 --d-head 48 --d-inner 768 --dropout 0 --dropatt 0 --unigram-size 5000 --prior 0.2 \
      --tgt-len "$length" --batch-size "$batch" --max-step "$steps" --warmup-step $((steps / 10)) --lr 1e-3 \
      --eval-interval 0 --eval-tgt-len "$length" --eval-total-len "$length" --log-interval 50 --save-interval 250
    "$root/lab" eval lm --model "$run/model" --data "$folder/brown" --batch-size "$batch" --eval-tgt-len "$length" --eval-total-len "$length" --csv "$run/scores.csv"
  done
done
python3 - "$folder" <<'PYTHON'
import csv, json, pathlib, statistics, sys
folder = pathlib.Path(sys.argv[1])
print("| boundaries | bits/character, seeds 1 and 2 | shortening factor | training, characters/s | peak memory, MB |\n|---|---|---|---|---|")
for kind in "none fixed whitespaces unigram entropy gumbel".split():
    runs = [folder / f"{kind}-seed{seed}" for seed in (1, 2)]
    scores = [next(row for row in csv.DictReader(open(run / "scores.csv")) if row["measure"].startswith("whole")) for run in runs]
    lines = [json.loads(line) for run in runs for line in open(run / "log.jsonl")]
    lines = [line for line in lines if "train/batch_time" in line]
    speed = statistics.median(line["train/characters_per_step"] / line["train/batch_time"] for line in lines)
    memory = max(line["train/peak_memory_mb"] for line in lines)
    factors = [row["shortening_factor"] for row in scores]
    factor = f"{statistics.mean(map(float, factors)):.2f}" if all(factors) else "1"
    print(f"| {kind} | {', '.join(format(float(row['bits_per_character']), '.3f') for row in scores)} | {factor} | {speed:.0f} | {memory:.0f} |")
PYTHON
