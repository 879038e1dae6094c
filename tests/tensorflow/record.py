"""Writes tests/import/: small graphs of the real TensorFlow, what goes in and what came out, for tests/test_import.py, which needs no
TensorFlow. The cases of a group lie side by side in one GraphDef, GROUP.pb. values.npz has all tensors behind each other as bytes and an
index: name ("Conv2D.0/x0" goes in, "Conv2D.0/y0" came out), type, shape.

    python tests/tensorflow/record.py
"""
import json
import pathlib

import numpy as np

from cases import GROUPS, build, tf

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "import"
SEEDS = 2                     # cases of each op


def record(group, names):
    """Writes the group's graph; returns its tensors by name, and the ops in it."""
    graph, feeds, outputs = tf.Graph(), {}, []
    with graph.as_default(), tf.compat.v1.Session() as session:
        for name in names:
            for seed in range(SEEDS):
                fed, made = build(name, seed, f"{name}.{seed}")
                feeds.update(fed)
                outputs += made
        values = session.run([f"{name}:0" for name in outputs], {f"{name}:0": value for name, value in feeds.items()})
    definition = graph.as_graph_def()
    (FOLDER / f"{group}.pb").write_bytes(definition.SerializeToString(deterministic=True))
    inside = {node.op for function in definition.library.function for node in function.node_def}
    return {**feeds, **dict(zip(outputs, values))}, {node.op for node in definition.node} | inside


def main():
    FOLDER.mkdir(exist_ok=True)
    index, data, ops = [], [], set()
    for group, names in GROUPS.items():
        arrays, used = record(group, names)
        ops |= used
        for name, array in arrays.items():
            index.append([group, name, array.dtype.name, list(array.shape)])
            data.append(array.tobytes())
    about = json.dumps({"tensorflow": tf.__version__, "ops": sorted(ops), "index": index})
    np.savez_compressed(FOLDER / "values.npz", about=np.frombuffer(about.encode(), np.uint8), data=np.frombuffer(b"".join(data), np.uint8))


if __name__ == "__main__":
    main()
