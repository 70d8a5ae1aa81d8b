#!/usr/bin/env python3
"""Draws pages of text: a heading, paragraphs, a table; slightly turned, on grey paper, with noise.

    make_ocr_pages.py OUT [--count 10] [--seed 1]

Writes OUT/NN.png and OUT/NN.txt (the lines drawn). Needs numpy, Pillow and the DejaVu fonts (Debian: fonts-dejavu-core)."""
import argparse
import glob
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import make_ocr_lines


def fonts():
    found = [f for f in sorted(glob.glob(os.path.join(make_ocr_lines.FONTS, "*.ttf"))) if "Math" not in f]
    if not found:
        raise SystemExit(f"no fonts in {make_ocr_lines.FONTS}: install the DejaVu fonts (Debian: fonts-dejavu-core)")
    return found


def words(rng, count):
    return " ".join(make_ocr_lines.text(rng) for _ in range(count))


def page(seed, width=640, height=480):
    """The picture and its lines."""
    rng = np.random.default_rng(seed)
    paper, ink = int(rng.integers(200, 256)), int(rng.integers(0, 70))
    image = Image.new("RGB", (width, height), (paper,) * 3)
    draw, drawn, faces = ImageDraw.Draw(image), [], fonts()
    body = faces[rng.integers(len(faces))]

    def put(x, y, text, size, name=body):
        font = ImageFont.truetype(name, size)
        while font.getbbox(text)[2] > width - x - 15:
            text = text.rsplit(" ", 1)[0] if " " in text else text[:-1]
        draw.text((x, y), text, font=font, fill=(ink,) * 3)
        drawn.append(text)

    put(int(rng.integers(20, 80)), 20, words(rng, 1), int(rng.integers(28, 40)), faces[rng.integers(len(faces))])
    y, size = 85, int(rng.integers(15, 24))
    while y < height - 120:
        put(25, y, words(rng, 4), size)
        y += int(size * 1.7)
    for row in range(2):
        for column in range(3):
            put(25 + column * 200, height - 80 + row * 35, f"{words(rng, 1).split()[0]} {rng.integers(1, 1000)}", 16)
    image = image.rotate(rng.uniform(-1, 1), Image.BICUBIC, fillcolor=(paper,) * 3)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.6)))
    pixels = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(0, 8), (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), drawn


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--count", type=int, default=10)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for i in range(args.count):
        image, drawn = page(args.seed + i)
        image.save(os.path.join(args.out, f"{i:02d}.png"))
        with open(os.path.join(args.out, f"{i:02d}.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(drawn) + "\n")


if __name__ == "__main__":
    main()
