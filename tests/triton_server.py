"""The real Triton Inference Server, as tools/setup.sh leaves it, with a repository of models for build/libtriton_opgraft.so."""
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np

from conftest import BUILD, ROOT

STARTS = 60          # seconds that a start may take
DTYPES = {"BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "INT8": np.int8,
          "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


def install():
    """The folder with server and client; raises subprocess.CalledProcessError where they can't be had. OPGRAFT_TRITON names another."""
    folder = pathlib.Path(os.environ.get("OPGRAFT_TRITON", ROOT / "build" / "venv" / "triton")).resolve()
    subprocess.run(["sh", ROOT / "tools" / "setup.sh", "triton", folder, ROOT / "tests" / "requirements-triton.txt", sys.executable],
                   capture_output=True, text=True, check=True)
    if str(folder / "python") not in sys.path:
        sys.path.append(str(folder / "python"))          # behind the tests' own packages
    return folder


def free_ports(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def add_model(repository, name, *versions, config=""):
    """A model: versions are files, model.onnx or model.plan by their suffix; config is what follows the backend's name."""
    folder = repository / name
    for number, path in enumerate(versions, 1):
        (folder / str(number)).mkdir(parents=True)
        place = folder / str(number) / f"model{pathlib.Path(path).suffix}"
        place.write_bytes(pathlib.Path(path).read_bytes())
    (folder / "config.pbtxt").write_text(f'backend: "opgraft"\n{config}')
    return folder


def parameters(**values):
    return "".join(f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n' for key, value in values.items())


class Server:
    """A server with its ports on the loopback address; ends with the `with` block, whatever happens there."""

    def __init__(self, folder, repository, *options, explicit=True, env=None):
        self.folder, self.repository, self.options, self.env = folder, repository, list(options), env or {}
        if explicit:
            self.options.append("--model-control-mode=explicit")
        self.backends = repository.parent / f"{repository.name}-backends"
        (self.backends / "opgraft").mkdir(parents=True, exist_ok=True)
        link = self.backends / "opgraft" / "libtriton_opgraft.so"
        if not link.is_symlink():
            link.symlink_to(BUILD / "libtriton_opgraft.so")
        self.log = repository.parent / f"{repository.name}.log"
        self.process, self.clients = None, []

    def __enter__(self):
        try:
            for _ in range(3):                           # a port that was free may be taken a moment later
                if self.start():
                    return self
                self.stop()
            raise AssertionError(f"the server does not start:\n{self.log.read_text()[-4000:]}")
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.http_port, self.grpc_port, self.metrics_port = free_ports(3)
        program = self.folder / "server" / "pytriton" / "tritonserver" / "bin" / "tritonserver"
        libraries = next((self.folder / "server").glob("*.libs"))
        command = [program, f"--model-repository={self.repository}", f"--backend-directory={self.backends}", "--allow-gpu-metrics=false",
                   "--exit-timeout-secs=5", *self.options]
        for kind, port in ("http", self.http_port), ("grpc", self.grpc_port), ("metrics", self.metrics_port):
            command += [f"--{kind}-address=127.0.0.1", f"--{kind}-port={port}"]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                            env={**os.environ, "LD_LIBRARY_PATH": str(libraries), **self.env})
        until = time.monotonic() + STARTS
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(Exception):
                if self.http().is_server_live():
                    return True
            time.sleep(0.05)
        return False

    def stop(self):
        """Its exit status; 0 when all was unloaded, for which it waits until no client is connected."""
        while self.clients:
            with contextlib.suppress(Exception):
                self.clients.pop().close()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)
        status, self.process = (self.process.returncode if self.process else None), None
        return status

    def http(self, **options):
        """A client for one thread."""
        import tritonclient.http
        self.clients.append(tritonclient.http.InferenceServerClient(f"127.0.0.1:{self.http_port}", **options))
        return self.clients[-1]

    def grpc(self):
        """A client for any number of threads."""
        import tritonclient.grpc
        self.clients.append(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{self.grpc_port}"))
        return self.clients[-1]

    def resident(self):
        """Bytes of memory that the server has."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def infer(client, model, inputs, outputs=None, **options):
    """{output: array} of one request with {input: array}."""
    module = sys.modules[type(client).__module__.rsplit(".", 1)[0]]
    given = []
    for name, array in inputs.items():
        one = module.InferInput(name, list(array.shape), NAMES[array.dtype])
        one.set_data_from_numpy(array)
        given.append(one)
    wanted = [module.InferRequestedOutput(name) for name in outputs] if outputs else None
    result = client.infer(model, given, outputs=wanted, **options)
    made = result.get_response()
    names = [one["name"] for one in made["outputs"]] if isinstance(made, dict) else [one.name for one in made.outputs]
    return {name: result.as_numpy(name) for name in names}
