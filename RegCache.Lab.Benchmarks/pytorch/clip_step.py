"""A CLIP training step in plain PyTorch, timed on request: the other side of the training benchmark.

Arguments: JSON with threads, batch, kept (patches that stay, 0 for all) and the sizes of both towers. Each line "run" on
standard input is answered by the seconds of one step: forward, symmetric loss, backward, clipping, AdamW.
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
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask):
        b, n, c = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)
        scores = scores if mask is None else scores + mask
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x))))


class Clip(nn.Module):
    def __init__(self, s):
        super().__init__()
        width, text_width = s["width"], s["textWidth"]
        self.conv = nn.Conv2d(3, width, s["patch"], s["patch"], bias=False)
        self.cls = nn.Parameter(torch.zeros(width))
        self.pos = nn.Parameter(torch.randn((s["image"] // s["patch"]) ** 2 + 1, width) * 0.1)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, s["heads"]) for _ in range(s["layers"]))
        self.image_proj = nn.Parameter(torch.randn(width, s["embed"]) * width**-0.5)
        self.words = nn.Embedding(s["vocab"], text_width)
        self.text_pos = nn.Parameter(torch.randn(s["context"], text_width) * 0.01)
        self.text_blocks = nn.ModuleList(Block(text_width, s["textHeads"]) for _ in range(s["textLayers"]))
        self.ln_final = nn.LayerNorm(text_width)
        self.text_proj = nn.Parameter(torch.randn(text_width, s["embed"]) * text_width**-0.5)
        self.scale = nn.Parameter(torch.tensor(2.3))
        self.register_buffer("mask", torch.full((s["context"], s["context"]), float("-inf")).triu(1))

    def forward(self, images, ids, kept):
        x = self.conv(images).flatten(2).transpose(1, 2)
        x = self.ln_pre(torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.pos)
        if kept is not None:
            x = x.gather(1, kept.unsqueeze(-1).expand(-1, -1, x.shape[2]))
        for block in self.blocks:
            x = block(x, None)
        image = F.normalize(self.ln_post(x[:, 0]) @ self.image_proj, dim=-1)
        t = self.words(ids) + self.text_pos
        for block in self.text_blocks:
            t = block(t, self.mask)
        t = self.ln_final(t)[torch.arange(len(ids)), ids.argmax(1)]
        logits = self.scale.exp() * image @ F.normalize(t @ self.text_proj, dim=-1).t()
        target = torch.arange(len(ids))
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2


def main():
    s = json.loads(sys.argv[1])
    torch.manual_seed(0)
    torch.set_num_threads(s["threads"])
    model = Clip(s)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0)
    images = torch.randn(s["batch"], 3, s["image"], s["image"])
    ids = torch.randint(1, s["vocab"] - 1, (s["batch"], s["context"]))
    kept = None
    if s["kept"]:
        patches = torch.rand(s["batch"], (s["image"] // s["patch"]) ** 2).argsort(1)[:, : s["kept"]] + 1
        kept = torch.cat([torch.zeros(s["batch"], 1, dtype=torch.long), patches], 1)
    for line in sys.stdin:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        model(images, ids, kept).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.scale.clamp_(0, 4.6052)
        print(time.perf_counter() - start, flush=True)


main()
