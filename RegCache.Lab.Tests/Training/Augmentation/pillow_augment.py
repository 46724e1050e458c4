#!/usr/bin/env python3
"""Writes a random picture and what Pillow makes of it: pillow.json lists the cases, pillow.bin (zlib) has their bytes.

Arguments: folder, width, height, seed, cases of each operation. Needs Pillow 9.4 and NumPy. The committed files are those of
`pillow_augment.py . 29 23 7 6`.
"""

import json
import math
import pathlib
import random
import sys
import zlib

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

FILL = (124, 116, 104)


def picture(width, height, draw):
    """A smooth random picture with edges and noise, whose channels have different ranges."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for channel in range(3):
        a, b, c, d = draw.uniform(0.05, 0.45, 4)
        plane = 120 + 60 * np.sin(a * x + b * y) + 40 * np.cos(c * x - d * y)
        plane += np.where((x // 9 + y // 7) % 2 == 0, 30, -20) + draw.normal(0, 6, (height, width))
        planes.append(np.clip(plane * (0.6 + 0.2 * channel), 3, 250 - 20 * channel))
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8))


def affine(image, *matrix):
    return image.transform(image.size, Image.AFFINE, matrix, Image.BICUBIC, fillcolor=FILL)


OPERATIONS = {
    "AutoContrast": lambda image, _: ImageOps.autocontrast(image),
    "Equalize": lambda image, _: ImageOps.equalize(image),
    "Invert": lambda image, _: ImageOps.invert(image),
    "Rotate": lambda image, degrees: image.rotate(degrees, resample=Image.BICUBIC, fillcolor=FILL),
    "PosterizeIncreasing": lambda image, bits: ImageOps.posterize(image, bits),
    "SolarizeIncreasing": lambda image, threshold: ImageOps.solarize(image, threshold),
    "SolarizeAdd": lambda image, add: image.point([min(255, i + add) if i < 128 else i for i in range(256)] * 3),
    "ColorIncreasing": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "ContrastIncreasing": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "BrightnessIncreasing": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "SharpnessIncreasing": lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
    "ShearX": lambda image, factor: affine(image, 1, factor, 0, 0, 1, 0),
    "ShearY": lambda image, factor: affine(image, 1, 0, 0, factor, 1, 0),
    "TranslateXRel": lambda image, share: affine(image, 1, 0, share * image.size[0], 0, 1, 0),
    "TranslateYRel": lambda image, share: affine(image, 1, 0, 0, 0, 1, share * image.size[1]),
    "GaussianBlur": lambda image, radius: image.filter(ImageFilter.GaussianBlur(radius)),
    "Grey": lambda image, _: image.convert("L").convert("RGB"),
}


def argument(name, level, sign, draw):
    if name in ("AutoContrast", "Equalize", "Invert", "Grey"):
        return 0
    if name == "Rotate":
        return sign * 30 * level
    if name == "PosterizeIncreasing":
        return 4 - int(4 * level)
    if name == "SolarizeIncreasing":
        return 256 - int(256 * level)
    if name == "SolarizeAdd":
        return min(128, int(110 * level))
    if name in ("ShearX", "ShearY"):
        return sign * 0.3 * level
    if name in ("TranslateXRel", "TranslateYRel"):
        return sign * 0.45 * level
    if name == "GaussianBlur":
        return draw.uniform(0.1, 2.0)
    return max(0.1, 1 + sign * 0.9 * level)


def main():
    folder, width, height, seed, count = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:6])
    image = picture(width, height, np.random.default_rng(seed))
    draw = random.Random(seed)
    content, cases = [image.tobytes()], []
    for name, change in OPERATIONS.items():
        plain = name in ("AutoContrast", "Equalize", "Invert", "Grey")
        for case in range(1 if plain else count):
            level, sign = draw.choice([0.0, 1.0, draw.random()]) if case < 2 else draw.random(), draw.choice([-1, 1])
            value = argument(name, level, sign, draw)
            cases.append({"operation": name, "argument": value, "level": level, "sign": sign})
            content.append(change(image, value).tobytes())
    (folder / "pillow.bin").write_bytes(zlib.compress(b"".join(content), 9))
    (folder / "pillow.json").write_text(json.dumps({"width": width, "height": height, "cases": cases}, indent=1) + "\n")


main()
