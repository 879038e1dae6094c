"""Does with the real TensorRT-RTX what a request says; needs no GPU. A process of its own: see conftest.Tensorrt.

Standard input is one JSON object:
  libraries   plugin libraries to load, in order
  reload      true: each is unloaded and loaded once more
  model       an ONNX file to parse; left out: no network
  override    true: plugins go before operators that the parser has itself
  shapes      {input: [smallest, best, largest]}: an optimisation profile
  formats     {input or output: name of a TensorFormat}: the only one allowed for it
  build       false: stop before the engine is built
  plan_file   where to leave the engine
  create      [[creator, {field: [type, [values]]}, "BUILD" or "RUNTIME"]]: plugins to make
The last line of standard output is one JSON object: creators, created, parsed, errors, layers, outputs, plan, log.
"""
import json
import pathlib
import sys

import numpy as np
import tensorrt_rtx_bindings as trt

FIELDS = {"FLOAT16": np.float16, "FLOAT32": np.float32, "FLOAT64": np.float64, "INT8": np.int8, "INT16": np.int16,
          "INT32": np.int32, "INT64": np.int64, "CHAR": np.int8, "UNKNOWN": np.int8, "DIMS": np.int8}


class Log(trt.ILogger):
    def __init__(self):
        super().__init__()
        self.lines = []

    def log(self, severity, message):
        self.lines.append([severity.name, message])


def describe(network):
    layers = []
    for k in range(network.num_layers):
        layer = network.get_layer(k)
        layers.append({"type": layer.type.name, "name": layer.name,
                       "outputs": [list(layer.get_output(i).shape) for i in range(layer.num_outputs)],
                       "types": [layer.get_output(i).dtype.name for i in range(layer.num_outputs)]})
    return layers


def network_of(builder, request, log, answer):
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if request.get("override"):
        parser.set_flag(trt.OnnxParserFlag.ENABLE_PLUGIN_OVERRIDE)
    answer["parsed"] = parser.parse(pathlib.Path(request["model"]).read_bytes())
    answer["errors"] = [parser.get_error(k).desc() for k in range(parser.num_errors)]
    if not answer["parsed"]:
        return None
    tensors = [network.get_input(k) for k in range(network.num_inputs)]
    tensors += [network.get_output(k) for k in range(network.num_outputs)]
    for tensor in tensors:
        if tensor.name in request.get("formats", {}):
            tensor.allowed_formats = 1 << int(getattr(trt.TensorFormat, request["formats"][tensor.name]))
    answer["layers"] = describe(network)
    answer["outputs"] = {t.name: list(t.shape) for t in tensors if t.is_network_output}
    return network


def build(builder, network, request):
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if request.get("shapes"):
        profile = builder.create_optimization_profile()
        for name, (low, best, high) in request["shapes"].items():
            profile.set_shape(name, low, best, high)
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    return bytes(plan) if plan is not None else b""


def create(registry, name, fields, phase):
    creator = registry.get_creator(name, "1", "")
    values = {key: np.array(list(v) if isinstance(v, str) else v, "S1" if isinstance(v, str) else FIELDS[kind])
              for key, (kind, v) in fields.items()}
    collection = trt.PluginFieldCollection([
        trt.PluginField(key, values[key].view(np.int8) if fields[key][0] in ("CHAR", "UNKNOWN") else values[key],
                        getattr(trt.PluginFieldType, fields[key][0])) for key in fields])
    return creator.create_plugin("layer", collection, getattr(trt.TensorRTPhase, phase))


def main():
    request = json.load(sys.stdin)
    log, answer = Log(), {}
    builder = trt.Builder(log)
    registry = trt.get_plugin_registry()
    for library in request.get("libraries", []):
        handle = registry.load_library(library)
        if request.get("reload"):
            registry.deregister_library(handle)
            registry.load_library(library)
    answer["creators"] = [[c.name, c.plugin_version, c.plugin_namespace,
                           [[f.name, f.type.name] for f in c.field_names]] for c in registry.all_creators]
    answer["created"] = [create(registry, *one) is not None for one in request.get("create", [])]
    if "model" in request:
        network = network_of(builder, request, log, answer)
        if network and request.get("build", True):
            plan = build(builder, network, request)
            answer["plan"] = len(plan)
            if "plan_file" in request:
                pathlib.Path(request["plan_file"]).write_bytes(plan)
    answer["log"] = log.lines
    print(json.dumps(answer))


main()
