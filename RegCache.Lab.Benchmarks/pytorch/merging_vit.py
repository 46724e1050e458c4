"""Token merging (ToMe) on a plain vision transformer in PyTorch, timed on request: the other side of the merging benchmark.

Arguments: JSON with threads, batch, layers, width, heads, patch, image, embed. Each line with a number r on standard input is
answered by the seconds of one forward pass that merges r tokens in every block; 0 runs the blocks as they are.
"""
import json
import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """A pre-norm block whose attention is written out, as in the usual classifiers."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def attend(self, x, bias=None):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        logits = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        if bias is not None:
            logits = logits + bias
        mixed = logits.softmax(-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, width)), k.mean(1)

    def mlp(self, x):
        return self.fc2(functional.gelu(self.fc1(x)))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))[0]
        return x + self.mlp(self.norm2(x))


class MergingBlock:
    """The same block with a merge between attention and MLP; sizes are handed from block to block."""

    def __init__(self, block):
        self.block = block

    def __call__(self, x, size, r):
        bias = None if size is None else size.log()[:, None, None, :, 0]
        attended, metric = self.block.attend(self.block.norm1(x), bias)
        x = x + attended
        x, size = merge(x, size, *match(metric, r))
        return x + self.block.mlp(self.block.norm2(x)), size


def match(metric, r):
    """The r best pairs between tokens at even places (the class token, which stays, among them) and at odd places."""
    unit = metric / metric.norm(dim=-1, keepdim=True)
    even, odd = unit[:, ::2], unit[:, 1::2]
    similarity = even @ odd.transpose(-2, -1)
    similarity[:, 0] = -math.inf
    best, partner = similarity.max(dim=-1)
    order = best.argsort(dim=-1, descending=True)
    gone, stay = order[:, :r, None], order[:, r:, None]
    return gone, stay.sort(dim=1)[0], partner[..., None].gather(1, gone)


def merge(x, size, gone, stay, target):
    """Averages weighted by size: tokens `gone` join the odd ones at `target`."""
    if size is None:
        size = torch.ones_like(x[..., :1])

    def total(values):
        even, odd = values[:, ::2], values[:, 1::2]
        channels = values.shape[-1]
        joined = odd.scatter_add(1, target.expand(-1, -1, channels), even.gather(1, gone.expand(-1, -1, channels)))
        return torch.cat([even.gather(1, stay.expand(-1, -1, channels)), joined], dim=1)

    merged, merged_size = total(x * size), total(size)
    return merged / merged_size, merged_size


class Classifier(nn.Module):
    def __init__(self, s):
        super().__init__()
        width, patch = s["width"], s["patch"]
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.positions = nn.Parameter(torch.randn((s["image"] // patch) ** 2 + 1, width))
        self.blocks = nn.ModuleList(Block(width, s["heads"]) for _ in range(s["layers"]))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, s["embed"])

    def forward(self, images, r):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        size = None
        for block in self.blocks:
            if r == 0:
                x = block(x)
            else:
                x, size = MergingBlock(block)(x, size, r)
        return self.head(self.norm(x)[:, 0])


def main():
    s = json.loads(sys.argv[1])
    torch.set_num_threads(s["threads"])
    model = Classifier(s).eval()
    images = torch.randn(s["batch"], 3, s["image"], s["image"])
    with torch.inference_mode():
        for line in sys.stdin:
            start = time.perf_counter()
            model(images, int(line))
            print(time.perf_counter() - start, flush=True)


main()
