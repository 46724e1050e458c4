#!/usr/bin/env python3
"""Writes the tables of docs/scaling.md between their markers: a cost model of a training step in K processes.

    ./lab bench distributed 20 5          measures; its numbers go into MEASURED below
    python3 RegCache.Lab.Benchmarks/scaling/scaling.py

A step takes compute + what is left of the all-reduce + exchange of features:

    compute     operations of a process / (peak x share of it that is reached)
    all-reduce  2 (K - 1) / K x bytes of the gradients / bandwidth + 2 log2(K) x latency, a bucket of 16 MiB or a large gradient at a time
    features    (K - 1) x bytes of a process's features there, and twice as much for their gradients back, / bandwidth + 2 log2(K) x latency;
                contrastive losses only

Inside a node the bandwidth is that of its links, between nodes what a GPU has of the node's network. Gradients travel while the backward pass goes on; what takes
longer than it is left over, and at least the gradients of the first layer, which come when it has ended.
"""
import math
import pathlib
import re

# ./lab bench distributed on the build machine, two cores: seconds of a step of the demo training (128 images), and what doctor --distributed tells.
MEASURED = {"model_bytes": 3776644, "seconds": {1: 0.4810, 2: 0.2979, 4: 0.3731}, "both_busy": 0.4795, "latency": 15e-6, "bandwidth": 0.3e9}

# A GPU of 2024 and its links: dense bfloat16 peak, the share that such models reach in PyTorch, bytes a second and seconds of latency.
PEAK, SHARE = 990e12, 0.35
NODE, NODE_BANDWIDTH, NODE_LATENCY = 8, 300e9, 10e-6
NETWORK_BANDWIDTH, NETWORK_LATENCY = 25e9, 20e-6  # 200 Gbit/s for each GPU

BUCKET = 16 << 20
TRANSFORMER = {"B/16 at 224": 35.1e9, "B/32 at 224": 8.8e9, "S/16 at 224": 9.2e9}  # operations of a forward pass of an image

# name, images of a process and step, operations an image and share of the backward pass, bytes of the gradients and of those that come last,
# bytes of an image's features (both towers; 0 without exchange)
COMMANDS = [
    # Teacher forwards; student forwards, and backwards through the blocks behind the first memory layer (block 2 of 12).
    ("distillation on ShareGPT4V (ViT-B/16, memory layers alone)", 320, TRANSFORMER["B/16 at 224"] * (2 + 2 * 10 / 12), 20 / 44, 4 * 2.4e6, 4 * 0.6e6, 0),
    ("DeiT-S with late tokens on ImageNet", 256, TRANSFORMER["S/16 at 224"] * 3, 2 / 3, 4 * 22e6, 4 * 0.4e6, 0),
    # The last gradients are those of the table of 49,408 tokens.
    ("CLIP with pooling on LAION (ViT-B/32)", 512, (TRANSFORMER["B/32 at 224"] + 6e9) * 3, 2 / 3, 4 * 151e6, 4 * 49408 * 512, 2 * 4 * 512),
    # Float and five settings a forward pass, the tree of plans sharing half of it; nothing but counts is exchanged.
    ("RegCache search, 50 000 images (ViT-B/16)", 64, TRANSFORMER["B/16 at 224"] * 300 * 0.5, 0, 0, 0, 0),
]


def exchange(bytes_sent, processes, pieces, bandwidth, latency):
    return bytes_sent / bandwidth + pieces * 2 * math.ceil(math.log2(processes)) * latency if processes > 1 else 0.0


def all_reduce(size, processes, bandwidth, latency):
    return exchange(2 * (processes - 1) / processes * size, processes, max(1, math.ceil(size / BUCKET)), bandwidth, latency)


def step(command, processes):
    _, images, operations, backward, gradients, last, features = command
    across = processes > NODE
    bandwidth, latency = (NETWORK_BANDWIDTH, NETWORK_LATENCY) if across else (NODE_BANDWIDTH, NODE_LATENCY)
    compute = images * operations / (PEAK * SHARE)
    sums = all_reduce(gradients, processes, bandwidth, latency)
    left = max(sums - backward * compute, all_reduce(last, processes, bandwidth, latency))
    gathers = exchange(3 * (processes - 1) * images * features, processes, 4, bandwidth, latency) if features else 0.0
    return compute, sums, left, gathers


def predictions():
    yield "| command | GPUs | ms a step | compute | all-reduce | left of it | features | images/s | efficiency |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for command in COMMANDS:
        for processes in (1, 8, 64, 1024):
            compute, sums, left, gathers = step(command, processes)
            total = compute + left + gathers
            yield (f"| {command[0] if processes == 1 else ''} | {processes} | {1e3 * total:.1f} | {1e3 * compute:.1f} | {1e3 * sums:.2f} | {1e3 * left:.2f} "
                   f"| {1e3 * gathers:.2f} | {command[1] * processes / total:,.0f} | {100 * compute / total:.0f} % |")


def fit():
    seconds, size = MEASURED["seconds"], MEASURED["model_bytes"]
    yield "| processes, one thread each | measured ms | model ms | of that all-reduce |"
    yield "|---|---|---|---|"
    cores = 2
    for processes, measured in seconds.items():
        # With both cores busy each is slower; processes beyond the cores take turns.
        whole = seconds[1] if processes == 1 else MEASURED["both_busy"]
        compute = whole / processes * max(1, processes / cores)
        sums = all_reduce(size, processes, MEASURED["bandwidth"], MEASURED["latency"])
        yield f"| {processes} | {1e3 * measured:.0f} | {1e3 * (compute + sums):.0f} | {1e3 * sums:.1f} |"


def main():
    page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
    text = page.read_text(encoding="utf-8")
    for name, lines in (("fit", fit() if MEASURED["seconds"] else ["Not measured yet."]), ("predictions", predictions())):
        block = f"<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- end of {name} -->"
        text, count = re.subn(f"<!-- {name} -->.*?<!-- end of {name} -->", lambda _: block, text, flags=re.S)
        if count != 1:
            raise SystemExit(f"{page} has no place for the table '{name}'.")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
