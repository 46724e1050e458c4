#!/bin/sh
# Six boundary types (fixed ones with two factors) x two seeds on the Brown corpus, about 3 million parameters, the same text for all; one table.
# Usage: brown_lm.sh FOLDER [STEPS] [LENGTH] [BATCH]; a run that was stopped goes on. THREADS=1 in the environment is the number of threads.
# Needs npm, Python and a built kit.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=$1 steps=${2:-2000} length=${3:-256} batch=${4:-16}
[ -e "$folder/brown/test.txt" ] || python3 "$here/brown_corpus.py" "$folder/brown"
for seed in 1 2; do
  for name in none fixed fixed5 whitespaces unigram entropy gumbel; do
    layers="[1, (4,), 1]" type=$name factor=2 tokenizer=""
    case $name in
      none) layers="[6, (0,), 0]" ;;
      fixed5) type=fixed factor=5 ;;
      unigram) [ "$seed" = 1 ] || tokenizer="$folder/unigram-seed1/model/unigram.json" ;;
    esac
    run="$folder/$name-seed$seed"
    [ -e "$run/scores.csv" ] && continue
    "$root/lab" train lm --data "$folder/brown" --run-dir "$run" --seed "$seed" --threads "${THREADS:-1}" --boundaries-type "$type" --fixed-sf $factor \
      --model-config "$layers" --d-model 192 --n-head 4 --d-head 48 --d-inner 768 --dropout 0 --dropatt 0 --unigram-size 5000 --prior 0.2 \
      ${tokenizer:+--tokenizer-path "$tokenizer"} \
      --tgt-len "$length" --batch-size "$batch" --max-step "$steps" --warmup-step $((steps / 10)) --lr 1e-3 \
      --eval-interval 0 --eval-batch-size 16 --eval-max-steps 20 --eval-tgt-len "$length" --eval-total-len "$length" --log-interval 10 --save-interval 200
    "$root/lab" eval lm --model "$run/model" --data "$folder/brown" --threads "${THREADS:-1}" --batch-size 16 --eval-tgt-len "$length" --eval-total-len "$length" \
      --eval-max-steps 1 --csv "$run/scores.csv"
  done
done
python3 - "$folder" <<'PYTHON'
import csv, json, pathlib, statistics, sys
folder = pathlib.Path(sys.argv[1])
print("Speeds are those of the fastest tenth of the steps, memory that of both runs' larger one.")
print("| boundaries | bits/character, seeds 1 and 2 | characters a segment | training, characters/s | peak memory, MB |\n|---|---|---|---|---|")
for kind in "none fixed fixed5 whitespaces unigram entropy gumbel".split():
    runs = [folder / f"{kind}-seed{seed}" for seed in (1, 2)]
    scores = [next(row for row in csv.DictReader(open(run / "scores.csv")) if row["measure"].startswith("whole")) for run in runs]
    logs = [[line for line in map(json.loads, open(run / "log.jsonl")) if "train/batch_time" in line] for run in runs]
    speeds = [sorted((line["train/characters_per_step"] / line["train/batch_time"] for line in log), reverse=True) for log in logs]
    speed = ", ".join(format(one[len(one) // 10], ".0f") for one in speeds)
    memory = max(line["train/peak_memory_mb"] for log in logs for line in log)
    factors = [row["shortening_factor"] for row in scores]
    factor = f"{statistics.mean(map(float, factors)):.2f}" if all(factors) else "1"
    print(f"| {kind} | {', '.join(format(float(row['bits_per_character']), '.3f') for row in scores)} | {factor} | {speed} | {memory:.0f} |")
PYTHON
