"""What cuDNN takes for ResNet-50's convolutions, layer by layer: PyTorch, channels_last, replays of a CUDA graph.
python3 tools/tensor_bar.py [f16|bf16|tf32] BATCH..."""
import sys

import torch

names = {"f16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32}
dtype = names[sys.argv[1]]
torch.backends.cudnn.benchmark = True
torch.backends.cudnn.allow_tf32 = True
torch.backends.cuda.matmul.allow_tf32 = True
PER_GRAPH = 16


def layers():
    yield 224, 3, 64, 7, 2
    size, c = 56, 64
    for stage, blocks in enumerate([3, 4, 6, 3]):
        for block in range(blocks):
            mid, stride = 64 << stage, 2 if stage and not block else 1
            if not block:
                yield size, c, 4 * mid, 1, stride
            yield size, c, mid, 1, 1
            yield size, mid, mid, 3, stride
            size //= stride
            yield size, mid, 4 * mid, 1, 1
            c = 4 * mid


def time(run):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(PER_GRAPH):
            run()
    graph.replay()
    times = []
    for _ in range(5):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        graph.replay()
        b.record()
        b.synchronize()
        times.append(a.elapsed_time(b) * 1000 / PER_GRAPH)
    return sorted(times)[2]


with torch.no_grad():
    for batch in map(int, sys.argv[2:]):
        known, total = {}, 0
        for key in layers():
            if key not in known:
                size, c, k, taps, stride = key
                x = torch.randn(batch, c, size, size, device="cuda", dtype=dtype).to(memory_format=torch.channels_last)
                w = torch.randn(k, c, taps, taps, device="cuda", dtype=dtype).to(memory_format=torch.channels_last) * 0.05
                known[key] = time(lambda: torch.nn.functional.conv2d(x, w, stride=stride, padding=taps // 2))
                print(f"cudnn b{batch} {taps}x{taps}/{stride} {c}-{k} @{size}: {known[key]:.2f} us", flush=True)
            total += known[key]
        print(f"cudnn b{batch} sum {total:.1f} us", flush=True)
