"""examples/serving against the real server, its manifests against each other, and the queueing simulation against what is known."""
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

import pytest

import bench_serving
import simulate_serving as sim
from conftest import BUILD, ROOT
from triton_server import free_ports, install

EXAMPLE = ROOT / "examples" / "serving"


# ---- manifests ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifests():
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the manifests: pip install pyyaml")
    return {(one["kind"]): one for name in ("kubernetes.yaml", "kserve.yaml") for one in yaml.safe_load_all((EXAMPLE / name).read_text())}


def server_options(container):
    """{option: value} of a container that runs the server."""
    program, *options = container["args"]
    assert program == "tritonserver"
    return dict(re.fullmatch(r"--([a-z-]+)=(.*)", option).groups() for option in options)


def pod(manifests):
    return manifests["Deployment"]["spec"]["template"]["spec"]["containers"][0]


def test_every_kind_is_there_once(manifests):
    assert sorted(manifests) == ["Deployment", "HorizontalPodAutoscaler", "InferenceService", "Service", "ServingRuntime"]


def test_names_lead_to_each_other(manifests):
    deployment = manifests["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert manifests["Service"]["spec"]["selector"].items() <= labels.items()
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": deployment["apiVersion"], "kind": "Deployment", "name": deployment["metadata"]["name"]}
    model, runtime = manifests["InferenceService"]["spec"]["predictor"]["model"], manifests["ServingRuntime"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] in [one["name"] for one in runtime["spec"]["supportedModelFormats"]]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]


def test_ports_are_those_of_the_server(manifests):
    container, options = pod(manifests), server_options(pod(manifests))
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {name: int(options[f"{name}-port"]) for name in ("http", "grpc", "metrics")}
    assert {one["name"]: one["targetPort"] for one in manifests["Service"]["spec"]["ports"]} == {name: name for name in ports}
    assert {one["name"]: one["port"] for one in manifests["Service"]["spec"]["ports"]} == ports
    metadata = manifests["Deployment"]["spec"]["template"]["metadata"]
    assert int(metadata["annotations"]["prometheus.io/port"]) == ports["metrics"]
    runtime = manifests["ServingRuntime"]["spec"]
    options = server_options(runtime["containers"][0])
    assert runtime["annotations"]["prometheus.kserve.io/port"] == options["metrics-port"]
    model = manifests["InferenceService"]["spec"]["predictor"]["model"]
    assert [one["containerPort"] for one in model["ports"]] == [int(options["http-port"])] == [model["readinessProbe"]["httpGet"]["port"]]


def test_images_and_paths_are_those_of_the_dockerfile(manifests):
    text = (EXAMPLE / "Dockerfile").read_text()
    runtime = manifests["ServingRuntime"]["spec"]["containers"][0]
    assert pod(manifests)["image"] == runtime["image"] == re.search(r"-t (\S+)", text).group(1)
    assert re.search(r"^COPY --from=build \S+ " + server_options(pod(manifests))["model-repository"] + "$", text, re.MULTILINE)
    assert server_options(runtime)["model-repository"] == "/mnt/models"               # where KServe puts what storageUri names
    assert {int(port) for port in re.search(r"EXPOSE (.*)", text).group(1).split()} == {one["containerPort"] for one in pod(manifests)["ports"]}
    for source in re.findall(r"sh (examples\S+)", text):
        assert (ROOT / source).exists()


# ---- the server and its client ------------------------------------------------------------------


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """What `start.sh` starts: {"http": port, "grpc": port, "metrics": port}."""
    try:
        folder = install()
    except subprocess.CalledProcessError as error:
        pytest.skip("Triton can't be had here: " + (error.stderr.strip().splitlines() or ["?"])[-1])
    ports = dict(zip(("http", "grpc", "metrics"), free_ports(3)))
    work = tmp_path_factory.mktemp("serving")
    env = {**os.environ, **{name.upper(): str(port) for name, port in ports.items()}, "BUILD": str(BUILD), "TRITON": str(folder),
           "SERVING": str(work / "served"), "PYTHON": sys.executable}
    with open(work / "log", "w") as log:
        process = subprocess.Popen(["sh", EXAMPLE / "start.sh", "--allow-gpu-metrics=false", "--exit-timeout-secs=5"], env=env, stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None and answers(ports["http"], "/v2/health/ready") != 200:
            time.sleep(0.1)
        assert process.poll() is None and time.monotonic() < until, f"start.sh does not start:\n{(work / 'log').read_text()[-4000:]}"
        yield ports
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def answers(port, path):
    """The status of a GET on the loopback address; None where nobody answers."""
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def client(*args):
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), *(p for p in sys.path if (pathlib.Path(p) / "tritonclient").is_dir())])
    return subprocess.run([sys.executable, EXAMPLE / "client.py", *map(str, args)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": path.strip(os.pathsep)})


@pytest.mark.parametrize("how", ["grpc", "http"])
def test_the_client_reads_digits(example, how):
    done = client("--url", f"127.0.0.1:{example[how]}", *(["--http"] if how == "http" else []))
    assert done.returncode == 0, done.stderr
    right, of = map(int, re.search(r"(\d+) of (\d+) digits read right", done.stdout).groups())
    assert of == 355 and right >= 0.97 * of


def test_the_client_says_what_is_wrong(example):
    done = client("--url", f"127.0.0.1:{example['grpc']}", "--model", "lenet6")
    assert done.returncode == 3 and "lenet6" in done.stderr and "Traceback" not in done.stderr
    done = client("--url", f"127.0.0.1:{free_ports(1)[0]}")
    assert done.returncode == 3 and "does not answer" in done.stderr and "Traceback" not in done.stderr
    assert client("--batch", "65").returncode == 2


def test_probes_of_the_manifests_are_answered(example, manifests):
    container = pod(manifests)
    for probe in "startupProbe", "readinessProbe", "livenessProbe":
        get = container[probe]["httpGet"]
        assert answers(example[get["port"]], get["path"]) == 200
    path = manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"]
    assert answers(example["metrics"], path) == 200


# ---- the simulation -----------------------------------------------------------------------------


def one_station(servers, most=1, time=None):
    return lambda draw: [sim.Station(servers, most, time or (lambda n, inside: draw.expovariate(1)))]


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_exponential_server_is_mm1(load):
    times, rate = sim.simulate(one_station(1), 200_000, 1, rate=load)
    assert statistics.fmean(times) == pytest.approx(1 / (1 - load), rel=0.06)
    assert sim.quantile(times, 0.9) == pytest.approx(2.302585 / (1 - load), rel=0.06)          # exponential with the mean above
    assert rate == pytest.approx(load, rel=0.02)


def test_a_constant_time_waits_half_as_long():
    """M/D/1 by Pollaczek and Khinchine: 1 + load / (2 (1 - load))."""
    times, _ = sim.simulate(one_station(1, time=lambda n, inside: 1.0), 200_000, 2, rate=0.7)
    assert statistics.fmean(times) == pytest.approx(1 + 0.7 / 0.6, rel=0.04)


def test_several_servers_are_erlang_c():
    k, load = 3, 2.1
    terms = [load**n / math.factorial(n) for n in range(k)]
    last = load**k / math.factorial(k) * k / (k - load)
    waits = last / (sum(terms) + last) / (k - load)
    times, _ = sim.simulate(one_station(k), 200_000, 3, rate=load)
    assert statistics.fmean(times) == pytest.approx(1 + waits, rel=0.04)


def test_closed_loops_and_batches():
    """Without batches a server that is always busy answers in turn; with them all callers' requests are run together."""
    times, rate = sim.simulate(one_station(1, time=lambda n, inside: 1.0), 2000, 4, callers=5)
    assert rate == pytest.approx(1, rel=0.01) and set(times) == {5.0}
    times, rate = sim.simulate(one_station(1, 8, lambda n, inside: 1.0), 2000, 4, callers=5)
    assert 2.4 < rate <= 5.1 and max(times) <= 2.0


def test_the_least_busy_node_is_better_than_one_at_random():
    at_random, least = (statistics.fmean(sim.simulate(one_station(1), 40_000, 5, rate=4 * 0.8, nodes=4, route=route)[0]) for route in ("random", "least"))
    assert at_random == pytest.approx(5, rel=0.1) and least < at_random / 2


def test_the_same_seed_is_the_same_run():
    runs = [sim.simulate(one_station(2), 1000, seed, rate=1.5) for seed in (6, 6, 7)]
    assert runs[0] == runs[1] != runs[2]


def test_a_line_is_found_and_never_negative():
    assert sim.line([(x, 3 + 2 * x) for x in range(1, 6)]) == pytest.approx((3, 2))
    assert sim.line([(1, 1), (2, 3), (3, 5)])[0] == 0


@pytest.mark.parametrize("network", bench_serving.NETWORKS)
def test_the_peer_is_a_model_of_the_python_backend(network):
    _, name, _, output, threads, _ = bench_serving.NETWORKS[network]
    scope = {}
    text = bench_serving.PEER.format(packages=[], threads=threads, input=name, output=output)
    exec(compile(text.replace("import triton_python_backend_utils as triton", ""), "model.py", "exec"), scope)
    assert {"initialize", "execute"} <= set(vars(scope["TritonPythonModel"]))
    assert "dynamic_batching" in bench_serving.peer_config(network, 64, 10) and "dynamic_batching" not in bench_serving.peer_config(network, 1, 10)


def test_the_page_is_made_of_what_was_measured():
    """docs/serving.md between its marks, from docs/serving.json."""
    data = json.loads((ROOT / "docs" / "serving.json").read_text())
    page = (ROOT / "docs" / "serving.md").read_text()
    assert bench_serving.page_text(data) in page
