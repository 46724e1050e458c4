"""CLIP's residual network in plain PyTorch, timed on request: the other side of the benchmark of ResNets.

Arguments: JSON with threads, batch, stages, width, heads, image, embed. Each line "plain" or "channels-last" on standard input is answered by
the seconds of one forward pass in inference mode, with maps in that layout.
"""
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional


def normed(inputs, outputs, kernel, stride=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs))


class Block(nn.Module):
    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.narrow, self.middle, self.widen = normed(inputs, planes, 1), normed(planes, planes, 3), normed(planes, 4 * planes, 1)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.beside = normed(inputs, 4 * planes, 1) if stride > 1 or inputs != 4 * planes else None

    def forward(self, x):
        y = functional.relu(self.narrow(x), inplace=True)
        y = functional.relu(self.middle(y), inplace=True)
        y = self.widen(self.pool(y))
        y += x if self.beside is None else self.beside(self.pool(x))
        return functional.relu(y, inplace=True)


class Tower(nn.Module):
    def __init__(self, s):
        super().__init__()
        width = s["width"]
        self.stem = nn.ModuleList([normed(3, width // 2, 3, 2), normed(width // 2, width // 2, 3), normed(width // 2, width, 3)])
        blocks, inputs = [], width
        for stage, count in enumerate(s["stages"]):
            for block in range(count):
                blocks.append(Block(inputs, width << stage, 2 if stage > 0 and block == 0 else 1))
                inputs = 4 * (width << stage)
        self.blocks = nn.Sequential(*blocks)
        self.heads = s["heads"]
        self.positions = nn.Parameter(torch.randn((s["image"] // 32) ** 2 + 1, inputs) / inputs ** 0.5)
        self.q, self.k, self.v, self.c = (nn.Linear(inputs, outputs) for outputs in (inputs, inputs, inputs, s["embed"]))

    def forward(self, x):
        for layer in self.stem:
            x = functional.relu(layer(x), inplace=True)
        x = self.blocks(functional.avg_pool2d(x, 2))
        x = x.flatten(2).permute(2, 0, 1)
        x = torch.cat([x.mean(0, keepdim=True), x]) + self.positions[:, None]
        x, _ = functional.multi_head_attention_forward(
            x[:1], x, x, x.shape[-1], self.heads, None, torch.cat([self.q.bias, self.k.bias, self.v.bias]), None, None, False, 0.0,
            self.c.weight, self.c.bias, training=False, need_weights=False, use_separate_proj_weight=True,
            q_proj_weight=self.q.weight, k_proj_weight=self.k.weight, v_proj_weight=self.v.weight)
        return x[0]


def main():
    s = json.loads(sys.argv[1])
    torch.set_num_threads(s["threads"])
    images = torch.randn(s["batch"], 3, s["image"], s["image"])
    plain = (Tower(s).eval(), images)
    last = (Tower(s).eval().to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last))
    with torch.inference_mode():
        for line in sys.stdin:
            tower, pixels = last if line.strip() == "channels-last" else plain
            start = time.perf_counter()
            tower(pixels)
            print(time.perf_counter() - start, flush=True)


main()
