#!/usr/bin/env python3
"""Makes the data files of this folder from the four IDX files of Fashion-MNIST.

    data.py [DIR]       (Debian: package dataset-fashion-mnist, /usr/share/datasets/fashion-mnist)

Copies the 10,000 test images and labels unchanged, and draws 1,000 calibration images, 100 of each class, from the
training images with a fixed seed.
"""
import gzip
import os
import shutil
import sys

import numpy as np

SEED = 20
PER_CLASS = 100


def read_idx(path):
    with gzip.open(path) as f:
        data = f.read()
    rank = data[3]
    shape = np.frombuffer(data, ">i4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    with open(path, "wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as f:
        f.write(header + array.tobytes())


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    source = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist"
    for name in "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz":
        shutil.copyfile(os.path.join(source, name), os.path.join(here, name))
    images = read_idx(os.path.join(source, "train-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(source, "train-labels-idx1-ubyte.gz"))
    rng = np.random.default_rng(SEED)
    pick = np.concatenate([rng.choice(np.flatnonzero(labels == c), PER_CLASS, replace=False) for c in range(10)])
    rng.shuffle(pick)
    write_idx(os.path.join(here, "calib-images-idx3-ubyte.gz"), images[pick])
    write_idx(os.path.join(here, "calib-labels-idx1-ubyte.gz"), labels[pick])


if __name__ == "__main__":
    main()
