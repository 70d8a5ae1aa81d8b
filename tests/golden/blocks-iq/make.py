#!/usr/bin/env python3
"""Makes golden.bin: what ggml makes of a small matrix in the IQ block formats, and of random blocks.

    float32[4][512] the matrix, float32[512] its importance matrix; then for each format of FORMATS, in order:
    its blocks without importance matrix (unless ggml refuses), its blocks with it,
    two random blocks, float32 what these stand for

    python3 tests/golden/blocks-iq/make.py path/to/libggml-base.so      needs numpy
"""

import ctypes
import pathlib
import sys

import numpy as np

ROWS, COLUMNS = 4, 512
# name, ggml_type, elements and bytes of a block, refused without importance
FORMATS = [
    ("iq1_s", 19, 256, 50, True),
    ("iq1_m", 29, 256, 56, False),
    ("iq2_xxs", 16, 256, 66, True),
    ("iq2_xs", 17, 256, 74, True),
    ("iq2_s", 22, 256, 82, False),
    ("iq3_xxs", 18, 256, 98, False),
    ("iq3_s", 21, 256, 110, False),
    ("iq4_nl", 20, 32, 18, False),
    ("iq4_xs", 23, 256, 136, False),
]


def main():
    ggml = ctypes.CDLL(sys.argv[1])
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, number, number, number, pointer]

    random = np.random.default_rng(20240607)
    matrix = np.stack(
        [
            random.normal(size=COLUMNS) * 0.02,
            random.standard_t(3, size=COLUMNS) * 0.02,
            random.laplace(size=COLUMNS),
            random.normal(size=COLUMNS) * np.where(np.arange(COLUMNS) % 128 == 5, 30, 1),
        ]
    ).astype(np.float32)
    importance = np.exp(random.normal(size=COLUMNS) * 1.5).astype(np.float32)
    parts = [matrix, importance]
    for name, type_id, block, size, needs_importance in FORMATS:
        for weights in [importance] if needs_importance else [None, importance]:
            blocks = np.zeros(ROWS * COLUMNS // block * size, np.uint8)
            written = ggml.ggml_quantize_chunk(
                type_id,
                matrix.ctypes.data,
                blocks.ctypes.data,
                0,
                ROWS,
                COLUMNS,
                None if weights is None else weights.ctypes.data,
            )
            assert written == blocks.size
            parts.append(blocks)
        blocks = random.integers(0, 256, 2 * size, np.uint8)
        floats = np.zeros(2 * block, np.float32)
        decode = getattr(ggml, "dequantize_row_" + name)
        decode.argtypes = [pointer, pointer, number]
        decode(blocks.ctypes.data, floats.ctypes.data, floats.size)
        parts += [blocks, floats]
    here = pathlib.Path(__file__).resolve().parent
    (here / "golden.bin").write_bytes(b"".join(part.tobytes() for part in parts))


main()
