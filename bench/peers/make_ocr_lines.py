#!/usr/bin/env python3
"""Draws pictures of text lines, half of them upside down, for PP-OCR's direction classifier (input 3 x 48 x 192).

    make_ocr_lines.py OUT [--count 400] [--seed 1]

Writes OUT/0/NNNN.png (upright) and OUT/180/NNNN.png (turned by 180 degrees), RGB, 192 x 48. Needs numpy, Pillow and
the DejaVu fonts (Debian: fonts-dejavu-core). The model's preprocessing is (pixel / 255 - 0.5) / 0.5, NCHW.
"""
import argparse
import glob
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 192, 48
FONTS = "/usr/share/fonts/truetype/dejavu"
WORDS = """account address amount April balance battery bridge camera cargo centre charge city coffee colour copper
customer date delivery density depot detail device district dollar east edge engine entrance error exit factory field
filter flight forest front garden gate glass green ground group harbour height hotel house index invoice island July
kernel kitchen label layer left level light limit line machine manager March market measure memory metal model monday
motor mountain museum network night north notice number office open order oxygen page paper parking path payment pilot
plant platform pocket point police power pressure price printer product profile pump quality queue radio railway
receipt record report return river road room safety sample school screen season sensor serial service shelf signal
silver speed square station steel stone storage street summer supply surface switch system table target temperature
terminal ticket timber total tower track traffic train transit tunnel union unit valve vehicle village voltage volume
wagon water weight west wheel window winter yard yellow zone""".split()


def text(rng):
    parts = []
    for _ in range(rng.integers(1, 4)):
        kind = rng.random()
        if kind < 0.15:
            parts.append(str(rng.integers(1, 100000)))
        elif kind < 0.25:
            parts.append(f"{rng.integers(1, 1000)}.{rng.integers(0, 100):02d}")
        else:
            word = WORDS[rng.integers(len(WORDS))]
            parts.append([word, word.capitalize(), word.upper()][rng.integers(3)])
    return " ".join(parts)


def line(rng, fonts):
    paper = rng.integers(150, 256, 3)
    ink = rng.integers(0, 100, 3)
    if rng.random() < 0.25:
        paper, ink = ink, paper
    words = text(rng)
    size = int(rng.integers(20, 37))
    name = fonts[rng.integers(len(fonts))]
    while True:     # the largest size, from the drawn one down, at which the line fits
        font = ImageFont.truetype(name, size)
        x0, y0, x1, y1 = font.getbbox(words)
        if (x1 - x0 <= WIDTH - 6 and y1 - y0 <= HEIGHT - 6) or size <= 9:
            break
        size -= 1
    image = Image.new("RGB", (WIDTH, HEIGHT), tuple(int(v) for v in paper))
    room = max(WIDTH - 6 - (x1 - x0), 0)
    x = 3 + int(rng.integers(0, room + 1)) - x0
    y = (HEIGHT - (y1 - y0)) // 2 - y0 + int(rng.integers(-2, 3))
    ImageDraw.Draw(image).text((x, y), words, font=font, fill=tuple(int(v) for v in ink))
    image = image.rotate(rng.uniform(-2, 2), Image.BILINEAR, fillcolor=tuple(int(v) for v in paper))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9)))
    pixels = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(0, 10), (HEIGHT, WIDTH, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--count", type=int, default=400)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    fonts = sorted(glob.glob(os.path.join(FONTS, "*.ttf")))
    if not fonts:
        raise SystemExit(f"no fonts in {FONTS}: install the DejaVu fonts (Debian: fonts-dejavu-core)")
    rng = np.random.default_rng(args.seed)
    for kind in "0", "180":
        os.makedirs(os.path.join(args.out, kind), exist_ok=True)
    for i in range(args.count):
        image = line(rng, fonts)
        kind = "180" if i % 2 else "0"
        if kind == "180":
            image = image.transpose(Image.ROTATE_180)
        image.save(os.path.join(args.out, kind, f"{i:04d}.png"))


if __name__ == "__main__":
    main()
