"""torchvision's ImageFolder with CLIP's preprocessing behind a DataLoader, timed on request: the other side of the folder benchmark.

Arguments: JSON with folder, size, batch, workers. Each line "run" on standard input is answered by the seconds of one pass over
the folder. The workers are started by the first pass and stay.
"""
import json
import sys
import time

from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder


def main():
    s = json.loads(sys.argv[1])
    transform = transforms.Compose([
        transforms.Resize(s["size"], interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(s["size"]),
        transforms.ToTensor(),
        transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    ])
    images = ImageFolder(s["folder"], transform)
    loader = DataLoader(images, batch_size=s["batch"], num_workers=s["workers"], persistent_workers=s["workers"] > 0)
    for _ in sys.stdin:
        start = time.perf_counter()
        read = sum(len(batch) for batch, _ in loader)
        assert read == len(images)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
