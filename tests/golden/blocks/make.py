"""Makes blocks.bin: a few rows of every block format, quantized and decoded by llama.cpp's ggml.

    python make.py LIBGGML_BASE.so

The file is "blk1", the number of formats and of elements (uint32), the row (float32); then for each
format: name (8 bytes, zero-padded), uint32 elements, uint32 bytes, the bytes to which ggml quantizes the
row and their floats, random bytes and their floats. Random float16 scales are kept finite and moderate,
so that every float is a number.
"""
import ctypes
import pathlib
import struct
import sys

import numpy as np

FORMATS = {  # name: ggml type, elements and bytes of a block, places of float16 scales
    "q4_0": (2, 32, 18, [0]), "q4_1": (3, 32, 20, [0, 2]), "q5_0": (6, 32, 22, [0]),
    "q5_1": (7, 32, 24, [0, 2]), "q8_0": (8, 32, 34, [0]), "q2_K": (10, 256, 84, [80, 82]),
    "q3_K": (11, 256, 110, [108]), "q4_K": (12, 256, 144, [0, 2]), "q5_K": (13, 256, 176, [0, 2]),
    "q6_K": (14, 256, 210, [208]), "tq1_0": (34, 256, 54, [52]), "tq2_0": (35, 256, 66, [64]),
    "mxfp4": (39, 32, 17, []), "nvfp4": (40, 64, 36, []), "q1_0": (41, 128, 18, [0]),
    "q2_0": (42, 64, 18, [0]),
}
COUNT = 512

ggml = ctypes.CDLL(sys.argv[1])
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                     ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
random = np.random.default_rng(4)

def decode(name, blocks):
    out = np.zeros(COUNT, np.float32)
    function = getattr(ggml, "dequantize_row_" + name)
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    function(blocks.ctypes.data, out.ctypes.data, COUNT)
    return out

row = (random.standard_normal(COUNT) * 0.05).astype(np.float32)
row[256:] *= np.exp(random.standard_normal(256)).astype(np.float32)
with open(pathlib.Path(__file__).parent / "blocks.bin", "wb") as file:
    file.write(b"blk1" + struct.pack("<II", len(FORMATS), COUNT) + row.tobytes())
    for name, (number, elements, size, scales) in FORMATS.items():
        blocks = np.zeros(COUNT // elements * size, np.uint8)
        ggml.ggml_quantize_chunk(number, row.ctypes.data, blocks.ctypes.data, 0, 1, COUNT, None)
        noise = random.integers(0, 256, (COUNT // elements, size), np.uint8)
        for place in scales:
            values = random.standard_normal(len(noise)).astype(np.float16)
            noise[:, place:place + 2] = values.view(np.uint8).reshape(-1, 2)
        if name == "mxfp4":
            noise[:, 0] = random.integers(100, 140, len(noise))
        noise = np.ascontiguousarray(noise.reshape(-1))
        file.write(struct.pack("<8sII", name.encode(), COUNT, len(blocks)))
        for part in (blocks, decode(name, blocks), noise, decode(name, noise)):
            file.write(part.tobytes())
