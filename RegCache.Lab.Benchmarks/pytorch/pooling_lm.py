"""A training step of the pooled language model in plain PyTorch, timed on request: the other side of the pooling benchmark.

Arguments: JSON with threads, batch, length, the sizes and factor (1: twelve plain layers; otherwise 2 + 8 + 2 with a boundary every so many
characters). Pooling multiplies by a one-hot matrix, as published. Each line "run" on standard input is answered by the seconds of one step.
"""
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Layer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.qkv, self.r, self.o = nn.Linear(width, 3 * width), nn.Linear(width, width), nn.Linear(width, width)
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x, table, u, v, mask):
        t, b, c = x.shape
        d = c // self.heads
        q, k, value = (part.view(t, b, self.heads, d) for part in self.qkv(x).chunk(3, -1))
        r = self.r(table).view(t, self.heads, d)
        content = torch.einsum("ibhd,jbhd->bhij", q + u, k)
        position = torch.einsum("ibhd,jhd->bhij", q + v, r)
        padded = F.pad(position, (1, 0)).view(b, self.heads, t + 1, t)
        scores = (content + padded[:, :, 1:]) * d**-0.5
        p = scores.masked_fill(mask, float("-inf")).softmax(-1)
        read = torch.einsum("bhij,jbhd->ibhd", p, value).reshape(t, b, c)
        x = self.norm(x + self.o(read))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Model(nn.Module):
    def __init__(self, s):
        super().__init__()
        width, heads = s["width"], s["heads"]
        self.factor = s["factor"]
        self.embed, self.out = nn.Embedding(s["symbols"], width), nn.Linear(width, s["symbols"])
        self.u, self.v = (nn.Parameter(torch.randn(heads, width // heads) * 0.02) for _ in range(2))
        self.null, self.norm = nn.Parameter(torch.randn(1, 1, width)), nn.LayerNorm(width)
        sizes = [12] if self.factor == 1 else [2, 8, 2]
        self.stacks = nn.ModuleList(nn.ModuleList(Layer(width, heads, s["inner"]) for _ in range(n)) for n in sizes)
        self.register_buffer("freq", 10000 ** (-torch.arange(0, width, 2) / width))

    def stack(self, x, index):
        t = len(x)
        angles = torch.arange(t - 1, -1, -1.0)[:, None] * self.freq
        table = torch.cat([angles.sin(), angles.cos()], -1)
        mask = torch.ones(t, t, dtype=torch.bool).triu(1)
        for layer in self.stacks[index]:
            x = layer(x, table, self.u, self.v, mask)
        return x

    def forward(self, data, marks):
        x = self.stack(self.embed(data), 0)
        if self.factor > 1:
            rest, closed = x, marks.cumsum(1)
            rows = int(closed.max())
            own = F.one_hot(closed - marks, rows + 1)[:, :, :rows].to(x.dtype)
            pooled = torch.einsum("bts,tbc->sbc", own / (own.sum(1, keepdim=True) + 1e-9), x)
            pooled = self.norm(torch.cat([self.null.expand(1, x.shape[1], -1), pooled]))
            pooled = self.stack(pooled, 1)
            newest = F.one_hot(closed, rows + 1).to(x.dtype)
            x = self.stack(torch.einsum("bts,sbc->tbc", newest, pooled) + rest, 2)
        return self.out(x)


def main():
    s = json.loads(sys.argv[1])
    torch.manual_seed(0)
    torch.set_num_threads(s["threads"])
    model = Model(s)
    optimizer = torch.optim.Adam(model.parameters(), lr=2.5e-4)
    data, target = (torch.randint(0, s["symbols"], (s["length"], s["batch"])) for _ in range(2))
    marks = (torch.arange(s["length"]) % s["factor"] == 0).long().expand(s["batch"], -1)
    for _ in sys.stdin:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(data, marks).flatten(0, 1), target.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        print(time.perf_counter() - start, flush=True)


main()
