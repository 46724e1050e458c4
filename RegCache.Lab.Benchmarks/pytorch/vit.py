"""A CLIP vision transformer in plain PyTorch, timed on request: the other side of the encoder benchmark.

Arguments: JSON with threads, batch, layers, width, heads, patch, image, embed, dtype. Each line "run" on standard
input is answered by the seconds of one forward pass; a line "export PATH" writes the tower as an ONNX file, for ONNX Runtime.
"""
import json
import sys
import time

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class VisionTower(nn.Module):
    def __init__(self, s):
        super().__init__()
        width, patch = s["width"], s["patch"]
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positions = nn.Parameter(torch.randn((s["image"] // patch) ** 2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, s["heads"]) for _ in range(s["layers"]))
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.randn(width, s["embed"]))

    def forward(self, images):
        x = self.conv1(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(x.shape[0], 1, -1), x], 1) + self.positions
        x = self.ln_pre(x)
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x[:, 0]) @ self.proj


def main():
    s = json.loads(sys.argv[1])
    torch.set_num_threads(s["threads"])
    dtype = getattr(torch, s["dtype"])
    device = s.get("device", "cpu")
    model = VisionTower(s).eval().to(device, dtype)
    images = torch.randn(s["batch"], 3, s["image"], s["image"]).to(device, dtype)
    with torch.inference_mode():
        for line in sys.stdin:
            if line.startswith("export "):
                # In training mode, which changes nothing else here, attention is exported as its parts.
                path, preserve = line.split(maxsplit=1)[1].strip(), torch.onnx.TrainingMode.PRESERVE
                torch.onnx.export(model.train(), images, path, opset_version=14, input_names=["images"], training=preserve)
                model.eval()
                print(0.0, flush=True)
                continue
            start = time.perf_counter()
            model(images)
            if device != "cpu":
                torch.cuda.synchronize()
            print(time.perf_counter() - start, flush=True)


main()
