"""examples/serving against the real server, its manifests against each other and what Kubernetes and KServe describe, and the queueing simulation
against what is known."""
import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

import pytest

import bench_serving
import simulate_serving as sim
from conftest import BUILD, ROOT
from manifest_schema import Kubernetes
from serving_client import WireClient
from triton_server import free_ports

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


def test_manifests_are_what_kubernetes_and_kserve_describe(manifests, triton):
    kubernetes = Kubernetes(triton / "python")
    for one in manifests.values():
        assert kubernetes.faults(one) == []


@pytest.mark.parametrize("kind, path, value, sentence", [
    ("Deployment", "spec.replicas", "2", "Deployment.spec.replicas is '2'"),
    ("Deployment", "spec.template.spec.containers.0.readinesProbe", {}, "Deployment.spec.template.spec.containers[0] knows no readinesProbe"),
    ("Service", "spec.ports.0.port", None, "spec.ports[0].port"),
    ("HorizontalPodAutoscaler", "spec.maxReplicas", [], "maxReplicas is []"),
    ("InferenceService", "spec.predictor.model.runtimes", "x", "InferenceService.spec.predictor.model knows no runtimes"),
    ("InferenceService", "spec.predictor.maxReplicas", "20", "InferenceService.spec.predictor.maxReplicas is '20'"),
    ("ServingRuntime", "spec.containers.0.resources.limit", {}, "ServingRuntime.spec.containers[0].resources knows no limit"),
    ("ServingRuntime", "spec.supportedModelFormats.0.autoSelect", "yes", "supportedModelFormats[0].autoSelect is 'yes'")])
def test_a_slip_in_a_manifest_is_found(manifests, triton, kind, path, value, sentence):
    one = json.loads(json.dumps(manifests[kind]))
    at, *inside = one, *path.split(".")
    for word in inside[:-1]:
        at = at[int(word) if word.isdigit() else word]
    at[inside[-1]] = value
    assert any(sentence in fault for fault in Kubernetes(triton / "python").faults(one))


# ---- the server and its client ------------------------------------------------------------------


@pytest.fixture(scope="module")
def example(triton, tmp_path_factory):
    """What `start.sh` starts: {"http": port, "grpc": port, "metrics": port}."""
    ports = dict(zip(("http", "grpc", "metrics"), free_ports(3)))
    work = tmp_path_factory.mktemp("serving")
    env = {**os.environ, **{name.upper(): str(port) for name, port in ports.items()}, "BUILD": str(BUILD), "TRITON": str(triton),
           "SERVING": str(work / "served"), "PYTHON": sys.executable}
    with open(work / "log", "w") as log:
        process = subprocess.Popen(["sh", EXAMPLE / "start.sh", "--allow-gpu-metrics=false", "--exit-timeout-secs=5"], env=env, stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL)
    with running(process, ports, work / "log"):
        yield ports


@contextlib.contextmanager
def running(process, ports, log):
    """While a server is ready; ends it."""
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None and answers(ports["http"], "/v2/health/ready") != 200:
            time.sleep(0.1)
        assert process.poll() is None and time.monotonic() < until, f"the server does not start:\n{log.read_text()[-4000:]}"
        yield
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


def test_the_steps_of_the_dockerfile_make_a_server(triton, tmp_path):
    """They are done one by one in a folder in the place of the image's root; make, whose part of `make test` was done before, only says what it would do."""
    def here(text):
        return re.sub(r"(?<![\w.])/(opgraft|built|serving|opt/tritonserver|models)\b",
                      lambda m: {"opgraft": str(ROOT), "built": str(BUILD)}.get(m.group(1), str(tmp_path / m.group(1))), text)
    steps = re.findall(r"^(FROM|RUN|COPY|WORKDIR|CMD|EXPOSE|ARG) (.*)$", (EXAMPLE / "Dockerfile").read_text(), re.MULTILINE)
    assert [name for name, _ in steps] == ["ARG", "FROM", "RUN", "COPY", "WORKDIR", "RUN", "FROM", "COPY", "COPY", "EXPOSE", "CMD"]
    for name, text in steps:
        if name == "RUN" and not text.startswith("apt-get"):
            make, _, rest = here(text).partition(" && ")
            subprocess.run(f"{make} -n >{tmp_path}/make.log && {rest}", shell=True, cwd=ROOT, check=True)
        elif name == "COPY" and "--from=build" in text:
            source, to = here(text.removeprefix("--from=build ")).split()
            shutil.copytree(source, to)
    program, *options = [here(word) for word in json.loads(steps[-1][1])]
    ports = dict(zip(("http", "grpc", "metrics"), free_ports(3)))
    server, libraries = triton / "server" / "pytriton" / "tritonserver" / "bin" / program, next((triton / "server").glob("*.libs"))
    options += [f"--backend-directory={tmp_path}/opt/tritonserver/backends", "--allow-gpu-metrics=false", "--exit-timeout-secs=5"]   # where the image's has them
    options += [f"--{name}-{what}={value}" for name, port in ports.items() for what, value in (("address", "127.0.0.1"), ("port", port))]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen([server, *options], env={**os.environ, "LD_LIBRARY_PATH": str(libraries)}, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    with running(process, ports, tmp_path / "log"):
        assert "digits read right" in client("--url", f"127.0.0.1:{ports['grpc']}").stdout


# ---- the simulation -----------------------------------------------------------------------------


def one_station(servers, most=1, time=None):
    return lambda draw: [sim.Station(servers, most, time or (lambda n, inside: draw.expovariate(1)))]


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_exponential_server_is_mm1(load):
    times, rate = sim.simulate(one_station(1), 80_000, 1, rate=load)
    assert statistics.fmean(times) == pytest.approx(1 / (1 - load), rel=0.06)
    assert sim.quantile(times, 0.9) == pytest.approx(2.302585 / (1 - load), rel=0.06)          # exponential with the mean above
    assert rate == pytest.approx(load, rel=0.02)


def test_a_constant_time_waits_half_as_long():
    """M/D/1 by Pollaczek and Khinchine: 1 + load / (2 (1 - load))."""
    times, _ = sim.simulate(one_station(1, time=lambda n, inside: 1.0), 80_000, 2, rate=0.7)
    assert statistics.fmean(times) == pytest.approx(1 + 0.7 / 0.6, rel=0.04)


def test_several_servers_are_erlang_c():
    k, load = 3, 2.1
    terms = [load**n / math.factorial(n) for n in range(k)]
    last = load**k / math.factorial(k) * k / (k - load)
    waits = last / (sum(terms) + last) / (k - load)
    times, _ = sim.simulate(one_station(k), 80_000, 3, rate=load)
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


# ---- the client that measures ---------------------------------------------------------------------


def test_the_measuring_client_gets_its_answers(example):
    """What it counts is what the server says it answered; a model that is not there ends calls all the same."""
    import tritonclient.grpc
    from tritonclient.grpc import service_pb2

    def count():
        stats = server.get_inference_statistics("lenet5", as_json=True)["model_stats"][0]["inference_stats"]
        return int(stats["success"].get("count", 0))
    server = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{example['grpc']}")
    message = service_pb2.ModelInferRequest(model_name="lenet5", raw_input_contents=[bytes(4 * 784)])
    message.inputs.add(name="image", datatype="FP32", shape=[1, 1, 28, 28])
    before = count()
    with WireClient(example["grpc"], bench_serving.METHOD) as client:
        latencies, took = client.load(message.SerializeToString(), 8, 0.2, 2000)
    until = time.monotonic() + 10                        # an answer is counted when it was sent
    while count() < before + len(latencies) and time.monotonic() < until:
        time.sleep(0.01)
    assert count() == before + len(latencies) and len(latencies) >= 8
    assert 0 < min(latencies) <= max(latencies) <= took
    message.model_name = "lenet6"
    with WireClient(example["grpc"], bench_serving.METHOD) as client:
        assert len(client.load(message.SerializeToString(), 3, 0)[0]) == 3
    server.close()
