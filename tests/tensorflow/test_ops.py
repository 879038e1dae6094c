"""Every converter on random graphs, against the TensorFlow that is installed. OPGRAFT_SEEDS: how many of each op."""
import os

import numpy as np
import pytest

pytest.importorskip("keras", reason="make test-tensorflow has it")  # "tensorflow" would find this folder

from cases import CASES, build, tf
from test_import import close, imported, onnxruntime_values, run_model

SEEDS = int(os.environ.get("OPGRAFT_SEEDS", 12))
FIRST = int(os.environ.get("OPGRAFT_SEED", 1000))


@pytest.mark.parametrize("name", CASES)
def test_an_op_gives_what_tensorflow_gives(tmp_path, name):
    for seed in range(FIRST, FIRST + SEEDS):
        graph = tf.Graph()
        with graph.as_default(), tf.compat.v1.Session() as session:
            feeds, outputs = build(name, seed, "case")
            wanted = session.run([f"{y}:0" for y in outputs], {f"{x}:0": value for x, value in feeds.items()})
        (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
        path, used = imported(tmp_path, tmp_path / "graph.pb", outputs)
        used = {x: feeds[x] for x in used}
        for runner in (run_model, onnxruntime_values):
            got = runner(tmp_path, path, used, outputs)
            for y, a, b in zip(outputs, got or wanted, wanted):
                assert close(a, np.asarray(b)), f"seed {seed}, {runner.__name__}, {y}: {a} but TensorFlow has {b}"
