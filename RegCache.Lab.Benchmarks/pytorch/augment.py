"""torchvision's augmentation of training images, timed on request: the other side of the augmentation benchmark.

Arguments: JSON with images, width, height, side, batch. A line with a number of loader workers on standard input is answered by the seconds
that a data loader takes for all images: random resized crop, flip, RandAugment of two operators at magnitude 9, tensor, normalisation,
random erasing. A line "op NAME" is answered by the seconds of one operator on one picture of side x side.
"""
import json
import sys
import time

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional as F

BICUBIC = transforms.InterpolationMode.BICUBIC
FILL = (124, 116, 104)


class Pictures(torch.utils.data.Dataset):
    def __init__(self, s):
        draw = np.random.default_rng(0)
        self.images = [Image.fromarray(draw.integers(0, 256, (s["height"], s["width"], 3), dtype=np.uint8)) for _ in range(16)]
        self.count = s["images"]
        self.transform = transforms.Compose([
            transforms.RandomResizedCrop(s["side"], interpolation=BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.RandAugment(num_ops=2, magnitude=9, interpolation=BICUBIC, fill=list(FILL)),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            transforms.RandomErasing(0.25, value="random"),
        ])

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return self.transform(self.images[index % len(self.images)])


def affine(image, angle=0.0, translate=(0, 0), shear=(0.0, 0.0)):
    return F.affine(image, angle, list(translate), 1.0, list(shear), interpolation=BICUBIC, fill=list(FILL))


OPERATORS = {
    "AutoContrast": F.autocontrast,
    "Equalize": F.equalize,
    "Invert": F.invert,
    "Rotate": lambda image: F.rotate(image, 27.0, interpolation=BICUBIC, fill=list(FILL)),
    "PosterizeIncreasing": lambda image: F.posterize(image, 1),
    "SolarizeIncreasing": lambda image: F.solarize(image, 26),
    "ColorIncreasing": lambda image: F.adjust_saturation(image, 1.81),
    "ContrastIncreasing": lambda image: F.adjust_contrast(image, 1.81),
    "BrightnessIncreasing": lambda image: F.adjust_brightness(image, 1.81),
    "SharpnessIncreasing": lambda image: F.adjust_sharpness(image, 1.81),
    "ShearX": lambda image: affine(image, shear=(15.1, 0.0)),
    "TranslateXRel": lambda image: affine(image, translate=(90, 0)),
}


def main():
    s = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    pictures = Pictures(s)
    square = pictures.images[0].resize((s["side"], s["side"]))
    loaders = {}
    for line in sys.stdin:
        words = line.split()
        if words[0] == "op":
            start = time.perf_counter()
            for _ in range(20):
                OPERATORS[words[1]](square)
            print((time.perf_counter() - start) / 20, flush=True)
            continue
        workers = int(words[0])
        if workers not in loaders:
            loaders[workers] = torch.utils.data.DataLoader(pictures, s["batch"], num_workers=workers, persistent_workers=True, drop_last=True)
        start = time.perf_counter()
        for _ in loaders[workers]:
            pass
        print(time.perf_counter() - start, flush=True)


main()
