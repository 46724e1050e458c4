"""The matrix products of a transformer block in PyTorch, timed on request: the other side of the products benchmark.

Arguments: JSON with threads. Each line "batch rows inner columns repeats" on standard input is answered by the seconds of that many products
[batch, rows, inner] x [batch, inner, columns]; batch 0 is a linear layer, whose weight is stored as [columns, inner].
"""
import json
import sys
import time

import torch

torch.set_num_threads(json.loads(sys.argv[1])["threads"])
made = {}
with torch.inference_mode():
    for line in sys.stdin:
        batch, rows, inner, columns, repeats = map(int, line.split())
        shape = (batch, rows, inner, columns)
        if shape not in made:
            made[shape] = (
                (torch.randn(rows, inner), torch.randn(columns, inner), torch.randn(columns)) if batch == 0
                else (torch.randn(batch, rows, inner), torch.randn(batch, inner, columns)))
        operands = made[shape]
        start = time.perf_counter()
        for _ in range(repeats):
            torch.nn.functional.linear(*operands) if batch == 0 else torch.bmm(*operands)
        print(time.perf_counter() - start, flush=True)
