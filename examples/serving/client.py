#!/usr/bin/env python3
"""Sends the repository's handwritten digits to a server and says how many it read right.

    python3 examples/serving/client.py                               gRPC, 127.0.0.1:8001
    python3 examples/serving/client.py --http --url 10.0.0.7:8000

Needs numpy and tritonclient; PYTHONPATH=build/venv/triton/python has the one that the tests use. Exit status: 0 when at least
95 of 100 digits were read right, 1 when fewer, 3 when the server can't be reached or refuses.
"""
import argparse
import pathlib
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from digits import enlarge, read_idx                     # noqa: E402

SHADES = " .:-=+*#%@"


def digits():
    """f32[355,1,28,28] with 0 for paper and 1 for ink, and what they are."""
    images = enlarge(read_idx(ROOT / "models" / "digits-images.idx3")).astype(np.float32) / np.float32(1600)
    return images[:, None], read_idx(ROOT / "models" / "digits-labels.idx1")


def ask(module, client, model, images):
    """The digit that the network sees in each image."""
    given = module.InferInput("image", list(images.shape), "FP32")
    given.set_data_from_numpy(images)
    return client.infer(model, [given]).as_numpy("logits").argmax(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", help="HOST:PORT of the server (default 127.0.0.1:8001, with --http 127.0.0.1:8000)")
    parser.add_argument("--http", action="store_true", help="speak HTTP and not gRPC")
    parser.add_argument("--model", default="lenet5", help="its name on the server (default lenet5)")
    parser.add_argument("--batch", type=int, default=8, help="digits in a request (default 8)")
    options = parser.parse_args()
    if not 1 <= options.batch <= 64:
        parser.error("a request has 1 to 64 digits")
    try:
        if options.http:
            import tritonclient.http as module
        else:
            import tritonclient.grpc as module
    except ImportError as error:
        print(f"client.py: {error}; install tritonclient, or set PYTHONPATH=build/venv/triton/python", file=sys.stderr)
        return 3
    images, labels = digits()
    url = options.url or ("127.0.0.1:8000" if options.http else "127.0.0.1:8001")
    seen, start = [], time.perf_counter()
    try:
        client = module.InferenceServerClient(url)
        for k in range(0, len(images), options.batch):
            seen.extend(ask(module, client, options.model, images[k:k + options.batch]))
    except Exception as error:                           # the client's own, a socket's, a library's below it
        print(f"client.py: {url} does not answer: {error}", file=sys.stderr)
        return 3
    took, right = time.perf_counter() - start, int((np.array(seen) == labels).sum())
    for row in images[0, 0, 4:24:2]:
        print("".join(SHADES[min(9, int(10 * pixel))] for pixel in row))
    print(f"is a {labels[0]}, was read as {seen[0]}\n\n{right} of {len(labels)} digits read right, in {took:.2f} s and "
          f"{-(-len(labels) // options.batch)} requests")
    return 0 if right >= 0.95 * len(labels) else 1


if __name__ == "__main__":
    sys.exit(main())
