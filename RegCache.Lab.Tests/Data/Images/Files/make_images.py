#!/usr/bin/env python3
"""Writes the test images of this folder and what Pillow makes of them (expected.bin, expected.json).

Needs Pillow 9.4 with libjpeg-turbo, libpng and libwebp, NumPy, and cjpeg (libjpeg-turbo-progs).
expected.json lists results: file, operation, settings, and where the raw RGB bytes lie in expected.bin (zlib).
"""

import io
import json
import pathlib
import struct
import subprocess
import zlib

import numpy as np
from PIL import Image, ImageFile, ImageOps

FOLDER = pathlib.Path(__file__).resolve().parent
RANDOM = np.random.default_rng(20240607)
WIDTH, HEIGHT = 45, 35


def picture(width=WIDTH, height=HEIGHT, channels=3):
    """A smooth random picture with edges and a little noise."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(channels):
        a, b, c, d = RANDOM.uniform(0.05, 0.45, 4)
        plane = 120 + 70 * np.sin(a * x + b * y) + 50 * np.cos(c * x - d * y)
        plane += np.where((x // 9 + y // 7) % 2 == 0, 40, -30) + RANDOM.normal(0, 6, (height, width))
        planes.append(plane)
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def save(name, image, **options):
    image.save(FOLDER / name, **options)


def jpeg_bytes(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def cjpeg(name, array, *options):
    height, width = array.shape[:2]
    header = f"P6 {width} {height} 255\n".encode()
    result = subprocess.run(["cjpeg", *options], input=header + array.tobytes(), capture_output=True, check=True)
    (FOLDER / name).write_bytes(result.stdout)


def without_segment(data, marker):
    """The JPEG without its segments of one kind."""
    out, position = data[:2], 2
    while data[position + 1] != 0xDA:
        length = 2 + struct.unpack(">H", data[position + 2 : position + 4])[0]
        if data[position + 1] != marker:
            out += data[position : position + length]
        position += length
    return out + data[position:]


def write_jpegs():
    rgb = Image.fromarray(picture())
    save("jpeg-444.jpg", rgb, quality=90, subsampling=0)
    save("jpeg-422.jpg", rgb, quality=85, subsampling=1)
    save("jpeg-420.jpg", rgb, quality=75, subsampling=2)
    save("jpeg-420-progressive.jpg", rgb, quality=60, subsampling=2, progressive=True)
    save("jpeg-grey.jpg", Image.fromarray(picture(channels=1)[..., 0]), quality=80)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("jpeg-rotated-by-exif.jpg", rgb, quality=85, exif=exif)
    array = picture()
    cjpeg("jpeg-440.jpg", array, "-quality", "80", "-sample", "1x2")
    cjpeg("jpeg-411.jpg", array, "-quality", "80", "-sample", "4x1")
    cjpeg("jpeg-410.jpg", array, "-quality", "80", "-sample", "4x2")
    cjpeg("jpeg-odd-sampling.jpg", array, "-quality", "80", "-sample", "2x2,2x1,1x2")
    cjpeg("jpeg-3x1.jpg", array, "-quality", "80", "-sample", "3x1")
    cjpeg("jpeg-rgb.jpg", array, "-quality", "80", "-rgb")
    cjpeg("jpeg-restarts.jpg", array, "-quality", "80", "-restart", "1")
    cjpeg("jpeg-arithmetic.jpg", array, "-quality", "80", "-arithmetic")

    cmyk = jpeg_bytes(Image.fromarray(picture(channels=4), "CMYK"), quality=90)
    (FOLDER / "jpeg-cmyk-adobe.jpg").write_bytes(cmyk)
    (FOLDER / "jpeg-cmyk-plain.jpg").write_bytes(without_segment(cmyk, 0xEE))
    adobe = cmyk.index(b"Adobe")
    (FOLDER / "jpeg-ycck.jpg").write_bytes(cmyk[: adobe + 11] + b"\x02" + cmyk[adobe + 12 :])

    good = jpeg_bytes(rgb, quality=85)
    (FOLDER / "jpeg-trailing-bytes.jpg").write_bytes(good + b"some bytes behind the end")
    (FOLDER / "jpeg-extraneous-bytes.jpg").write_bytes(good[:-2] + b"\x12\x34\x56" + good[-2:])
    (FOLDER / "jpeg-named-as.png").write_bytes(good)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def filtered(rows, distance):
    """Filters every row by another of the five kinds."""
    out, above = b"", np.zeros(len(rows[0]), np.int32)
    for number, row in enumerate(rows):
        row = np.frombuffer(row, np.uint8).astype(np.int32)
        left = np.concatenate([np.zeros(distance, np.int32), row])[: len(row)]
        corner = np.concatenate([np.zeros(distance, np.int32), above])[: len(row)]
        estimate = left + above - corner
        to_left, to_above, to_corner = abs(estimate - left), abs(estimate - above), abs(estimate - corner)
        paeth = np.where((to_left <= to_above) & (to_left <= to_corner), left, np.where(to_above <= to_corner, above, corner))
        kind = number % 5
        prediction = [0, left, above, (left + above) // 2, paeth][kind]
        out += bytes([kind]) + ((row - prediction) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def pack(samples, depth):
    """One row of samples as PNG stores it."""
    if depth == 16:
        return samples.astype(">u2").tobytes()
    if depth == 8:
        return samples.astype(np.uint8).tobytes()
    bits = ((samples.reshape(-1, 1) >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
    return np.packbits(bits.reshape(-1)).tobytes()


PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(name, samples, color, depth, palette=None, transparency=None, interlaced=False, extra=b"", parts=1):
    """samples: [height, width, channels] integers."""
    height, width, channels = samples.shape
    distance = max(1, channels * depth // 8)
    data = b""
    for left, top, step_x, step_y in PASSES if interlaced else [(0, 0, 1, 1)]:
        part = samples[top::step_y, left::step_x]
        if part.size:
            data += filtered([pack(row.reshape(-1), depth) for row in part], distance)
    data = zlib.compress(data)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    size = -(-len(data) // parts)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
    out += chunk(b"PLTE", palette) if palette else b""
    out += chunk(b"tRNS", transparency) if transparency else b""
    for start in range(0, len(data), size):
        out += chunk(b"IDAT", data[start : start + size])
    (FOLDER / name).write_bytes(out + chunk(b"IEND", b""))


def write_pngs():
    for depth in (1, 2, 4, 8, 16):
        grey = picture(channels=1).astype(np.int64)
        grey = (grey * 257 >> (16 - depth)) if depth < 16 else grey * 3 + RANDOM.integers(0, 3, grey.shape)
        png(f"png-grey-{depth}.png", grey, 0, depth)
        png(f"png-grey-{depth}-interlaced.png", grey, 0, depth, interlaced=True)
    for depth in (1, 2, 4, 8):
        colors = min(200, 1 << depth)
        index = RANDOM.integers(0, colors, (HEIGHT // 5, WIDTH // 5, 1)).repeat(5, 0).repeat(5, 1)
        palette = RANDOM.integers(0, 256, 3 * colors, dtype=np.uint8).tobytes()
        png(f"png-palette-{depth}.png", index, 3, depth, palette=palette)
        png(f"png-palette-{depth}-interlaced.png", index, 3, depth, palette=palette, interlaced=True, transparency=b"\0\x80")
    png("png-palette-too-short.png", index, 3, 8, palette=palette[:60])
    for depth in (8, 16):
        for color, channels, word in ((2, 3, "rgb"), (4, 2, "grey-alpha"), (6, 4, "rgba")):
            samples = picture(channels=channels).astype(np.int64)
            if depth == 16:
                samples = samples * 256 + RANDOM.integers(0, 256, samples.shape)
            png(f"png-{word}-{depth}.png", samples, color, depth)
            png(f"png-{word}-{depth}-interlaced.png", samples, color, depth, interlaced=True, parts=3)
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    png("png-rgb-8-gamma.png", picture().astype(np.int64), 2, 8, extra=gamma, parts=4)
    png("png-rgb-8-transparent-color.png", picture().astype(np.int64), 2, 8, transparency=b"\0\x10\0\x20\0\x30")
    png("png-interlaced-3x2.png", picture(3, 2).astype(np.int64), 2, 8, interlaced=True)
    png("png-1x1.png", picture(1, 1).astype(np.int64), 2, 8)
    transparent = picture(channels=4).astype(np.int64)
    transparent[..., 3] = np.where(transparent[..., 3] > 128, 255, 0)
    png("png-rgba-8-sharp-alpha.png", transparent, 6, 8)


def write_webps():
    rgb = Image.fromarray(picture())
    rgba = Image.fromarray(picture(channels=4))
    save("webp-lossy.webp", rgb, quality=70)
    save("webp-lossless.webp", rgb, lossless=True)
    save("webp-lossy-alpha.webp", rgba, quality=70)
    save("webp-lossless-alpha.webp", rgba, lossless=True, exact=True)
    frames = [Image.fromarray(picture()) for _ in range(2)]
    save("webp-animated.webp", frames[0], save_all=True, append_images=frames[1:], quality=60)
    frames = [Image.fromarray(picture(channels=4)) for _ in range(2)]
    save("webp-animated-alpha.webp", frames[0], save_all=True, append_images=frames[1:], lossless=True)


def write_odd_pngs():
    """Chunks that fit the stored kind of image only: transparency, significant bits, background."""
    grey = picture(channels=1).astype(np.int64)
    extra = chunk(b"sBIT", b"\x0c") + chunk(b"bKGD", b"\1\2")
    png("png-grey-16-odd-chunks.png", grey * 2, 0, 16, extra=extra, transparency=b"\0\x80")
    palette = RANDOM.integers(0, 256, 768, dtype=np.uint8).tobytes()
    png("png-palette-odd-chunks.png", grey, 3, 8, palette=palette, extra=chunk(b"sBIT", b"\5\6\5"), transparency=bytes(range(256)))


def write_gifs():
    frames = [Image.fromarray(picture()).quantize(colors) for colors in (200, 30)]
    save("gif-palette.gif", frames[0], interlace=0)
    save("gif-palette-5.gif", frames[1])
    save("gif-grey.gif", Image.fromarray(picture(channels=1)[..., 0]))
    save("gif-transparent.gif", frames[0], transparency=17)
    save("gif-animated.gif", frames[0], save_all=True, append_images=frames[1:], transparency=3)
    for name, source in (("gif-small-frame.gif", "gif-palette.gif"), ("gif-small-transparent-frame.gif", "gif-transparent.gif")):
        data = (FOLDER / source).read_bytes()
        (FOLDER / name).write_bytes(data[:6] + struct.pack("<HH", 60, 50) + data[10:])
    data = (FOLDER / "gif-palette.gif").read_bytes()
    frame, table = data.index(b",", 13 + 768), data[13 : 13 + 768]
    local = data[frame : frame + 9] + bytes([data[frame + 9] | 0x87]) + table + data[frame + 10 :]
    (FOLDER / "gif-local-palette.gif").write_bytes(data[:10] + bytes([data[10] & 0x7F]) + data[11:13] + data[13 + 768 : frame] + local)


def write_small_webp_frames():
    for name, source in (("webp-small-frame.webp", "webp-animated.webp"), ("webp-small-frame-alpha.webp", "webp-animated-alpha.webp")):
        data = (FOLDER / source).read_bytes()
        (FOLDER / name).write_bytes(data[:24] + struct.pack("<I", 59)[:3] + struct.pack("<I", 49)[:3] + data[30:])


def write_bmps():
    save("bmp-rgb.bmp", Image.fromarray(picture()))
    save("bmp-rgba.bmp", Image.fromarray(picture(channels=4)))
    save("bmp-palette.bmp", Image.fromarray(picture()).quantize(100))
    save("bmp-grey.bmp", Image.fromarray(picture(channels=1)[..., 0]))
    save("bmp-black-white.bmp", Image.fromarray(picture(channels=1)[..., 0]).convert("1"))


def netpbm(name, samples, kind, largest, header=None):
    """samples: [height, width, channels] integers; kinds 1 to 3 are text, 4 to 6 bytes."""
    height, width, _ = samples.shape
    head = header or (f"P{kind}\n{width} {height}\n" + (f"{largest}\n" if kind not in (1, 4) else ""))
    if kind == 4:
        data = np.packbits(samples[..., 0].astype(np.uint8), axis=1).tobytes()
    elif kind in (5, 6):
        data = samples.astype(">u2" if largest > 255 else np.uint8).tobytes()
    else:
        data = "".join(" ".join(map(str, row.reshape(-1))) + "\n" for row in samples).encode()
    (FOLDER / name).write_bytes(head.encode() + data)


def write_netpbms():
    grey, rgb = picture(channels=1).astype(np.int64), picture().astype(np.int64)
    black = (grey > 120).astype(np.int64)
    netpbm("pbm-bytes.pbm", black, 4, 1)
    netpbm("pbm-text.pbm", black, 1, 1)
    netpbm("pgm-bytes-255.pgm", grey, 5, 255)
    netpbm("pgm-bytes-100.pgm", grey * 100 // 255, 5, 100)
    netpbm("pgm-bytes-65535.pgm", grey * 3, 5, 65535)
    netpbm("pgm-bytes-1000.pgm", grey * 3, 5, 1000)
    netpbm("pgm-text-15.pgm", grey // 16, 2, 15)
    netpbm("pgm-text-1000.pgm", grey * 3, 2, 1000)
    netpbm("ppm-bytes-255.ppm", rgb, 6, 255)
    netpbm("ppm-bytes-31.ppm", rgb // 8, 6, 31)
    netpbm("ppm-bytes-4095.ppm", rgb * 16, 6, 4095)
    netpbm("ppm-text-255.ppm", rgb, 3, 255, header=f"P3 # a comment\n{WIDTH}\t{HEIGHT}\r\n# another one\n255 ")


def center_crop(image, height, width):
    left = int(round((image.width - width) / 2.0))
    top = int(round((image.height - height) / 2.0))
    return image.crop((left, top, left + width, top + height))


def preprocess(image, height, width, mode, interpolation, fill):
    """Resize, then crop or pad, then RGB."""
    filter_ = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}[interpolation]
    if mode == "squash":
        return image.resize((width, height), filter_).convert("RGB")
    if mode == "longest":
        ratio = max(image.height / height, image.width / width)
        image = image.resize((round(image.width / ratio), round(image.height / ratio)), filter_)
        across, down = width - image.width, height - image.height
        if across or down:
            border = (across // 2, down // 2, across - across // 2, down - down // 2)
            bands = len(image.getbands())
            image = ImageOps.expand(image, border, fill if bands == 1 else (fill,) * bands)
        return image.convert("RGB")
    if height == width:
        short, long = min(image.size), max(image.size)
        longer = int(height * long / short)
        size = (height, longer) if image.width <= image.height else (longer, height)
    else:
        ratio = min(image.height / height, image.width / width)
        size = (round(image.width / ratio), round(image.height / ratio))
    return center_crop(image.resize(size, filter_), height, width).convert("RGB")


def truncated(data):
    """What Pillow makes of a file that ends early, where that is allowed."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    return image.convert("RGB")


SETTINGS = [
    {"height": 24, "width": 24, "mode": "shortest", "interpolation": "bicubic", "fill": 0},
    {"height": 35, "width": 35, "mode": "shortest", "interpolation": "bicubic", "fill": 0},
    {"height": 50, "width": 41, "mode": "squash", "interpolation": "bilinear", "fill": 0},
    {"height": 16, "width": 23, "mode": "shortest", "interpolation": "bicubic", "fill": 0},
    {"height": 40, "width": 30, "mode": "longest", "interpolation": "bicubic", "fill": 90},
    {"height": 35, "width": 45, "mode": "squash", "interpolation": "bicubic", "fill": 0},
]


def write_expected():
    cases, blob = [], b""

    def add(name, operation, image, **settings):
        nonlocal blob
        cases.append({"file": name, "operation": operation, "settings": settings, "offset": len(blob), "length": len(image.tobytes())})
        blob += image.tobytes()

    for path in sorted(FOLDER.iterdir()):
        if path.suffix not in (".jpg", ".png", ".webp", ".gif", ".bmp", ".pbm", ".pgm", ".ppm"):
            continue
        with Image.open(path) as image:
            image.load()
            add(path.name, "decode", image.convert("RGB"), height=image.height, width=image.width)
            for settings in SETTINGS if image.size == (WIDTH, HEIGHT) else SETTINGS[:1]:
                # The kit looks palettes of BMP files up on loading.
                if path.suffix == ".bmp":
                    continue
                # One colour JPEG stands for all of them: what follows the decoding is the same.
                if image.mode == "RGB" and path.name not in ("jpeg-420.jpg", "png-1x1.png", "png-rgb-8.png"):
                    continue
                add(path.name, "preprocess", preprocess(image, **settings), **settings)
    for name in ("jpeg-420.jpg", "jpeg-420-progressive.jpg", "jpeg-grey.jpg", "jpeg-cmyk-adobe.jpg", "jpeg-restarts.jpg"):
        whole = (FOLDER / name).read_bytes()
        start = whole.index(b"\xff\xda")
        # Right behind the scan's header, in the middle of the data, and before the end mark.
        for kept in (start + 30, (start + len(whole)) // 2, len(whole) * 9 // 10, len(whole) - 2):
            add(name, "truncated", truncated(whole[:kept]), height=HEIGHT, width=WIDTH, kept=kept)
    (FOLDER / "expected.bin").write_bytes(zlib.compress(blob, 9))
    (FOLDER / "expected.json").write_text(json.dumps(cases, indent=0) + "\n")


if __name__ == "__main__":
    write_jpegs()
    write_pngs()
    write_webps()
    write_odd_pngs()
    write_gifs()
    write_small_webp_frames()
    write_bmps()
    write_netpbms()
    write_expected()
