"""A training step of a ViT with late tokens in plain PyTorch, timed on request: the other side of the benchmark.

Arguments: JSON with threads, batch, image, patch, width, heads, layers, classes, registers, clsPos, regPos. Each line "run" on standard
input is answered by the seconds of one step: forward, smoothed cross entropy, backward, AdamW with decay of matrices alone.
"""
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)
        x = x + self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class LateVit(nn.Module):
    def __init__(self, s):
        super().__init__()
        width = s["width"]
        self.cls_pos, self.reg_pos = s["clsPos"], s["regPos"]
        self.patch = nn.Conv2d(3, width, s["patch"], s["patch"])
        self.pos = nn.Parameter(torch.randn(1, (s["image"] // s["patch"]) ** 2, width) * 0.02)
        self.cls = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.registers = nn.Parameter(torch.randn(1, s["registers"], width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, s["heads"]) for _ in range(s["layers"]))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, s["classes"])

    def forward(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2) + self.pos
        for index, block in enumerate(self.blocks):
            if index == self.reg_pos:
                x = torch.cat([x, self.registers.expand(len(x), -1, -1)], 1)
            if index == self.cls_pos:
                x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def main():
    s = json.loads(sys.argv[1])
    torch.manual_seed(0)
    torch.set_num_threads(s["threads"])
    model = LateVit(s)
    plain = [p for name, p in model.named_parameters() if p.ndim <= 1 or name in ("pos", "cls", "registers")]
    decayed = [p for name, p in model.named_parameters() if not (p.ndim <= 1 or name in ("pos", "cls", "registers"))]
    optimizer = torch.optim.AdamW([{"params": plain, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.05}], lr=1e-4, eps=1e-8)
    images = torch.randn(s["batch"], 3, s["image"], s["image"])
    labels = torch.randint(0, s["classes"], (s["batch"],))
    for line in sys.stdin:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels, label_smoothing=0.1).backward()
        optimizer.step()
        print(time.perf_counter() - start, flush=True)


main()
