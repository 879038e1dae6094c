"""What of a manifest does not fit its kind: by the schemas of Kubernetes and the models of KServe, as two wheels of
tests/requirements-triton.txt carry them."""
import ast
import functools
import json

KINDS = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool, "object": object, "datetime": str}


def is_kind(value, kind):
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def faults(value, schema, where, find):
    """Sentences; find(reference) is another schema. What is not described is a fault, as `kubectl apply --validate=strict` has it."""
    if "$ref" in schema:
        yield from faults(value, find(schema["$ref"]), where, find)
        return
    ways = schema.get("oneOf")
    if ways and all(list(faults(value, one, where, find)) for one in ways):
        yield f"{where} is {value!r}, which is nothing that it may be"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_kind(value, kind) for kind in kinds):
        yield f"{where} is {value!r}, not of type {' or '.join(kinds)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {value!r}, none of {schema['enum']}"
    for i, one in enumerate(value if isinstance(value, list) else []):
        yield from faults(one, schema.get("items", {}), f"{where}[{i}]", find)
    if isinstance(value, dict):
        inside, others = schema.get("properties", {}), schema.get("additionalProperties")
        yield from (f"{where} has no {name}" for name in schema.get("required", []) if name not in value)
        for name, one in value.items():
            if name in inside or isinstance(others, dict):
                yield from faults(one, inside.get(name, others), f"{where}.{name}", find)
            elif inside or others is False:
                yield f"{where} knows no {name}"


class Kubernetes:
    """folder: where the wheels were unpacked."""

    def __init__(self, folder):
        self.models = folder / "kserve" / "models"
        path = next((folder / "kubernetes_validate" / "kubernetes-json-schema").glob("*/_definitions.json"))
        self.schemas = json.loads(path.read_text())["$defs"]

    def of(self, reference):
        return self.schemas[reference.rpartition("/")[2]]

    def faults(self, manifest):
        """Of any object of the two."""
        group, _, version = manifest["apiVersion"].rpartition("/")
        if group == "serving.kserve.io":
            return list(self.of_model(manifest, f"{version.capitalize()}{manifest['kind']}", manifest["kind"]))
        name = f"io.k8s.api.{group.split('.')[0] or 'core'}.{version}.{manifest['kind']}"
        return list(faults(manifest, self.schemas[name], manifest["kind"], self.of))

    @functools.cache
    def model(self, name):
        """{key in a manifest: its type} of a class of KServe's; None where it is one of Kubernetes'."""
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
        try:
            tree = ast.parse((self.models / f"{snake}.py").read_text())
        except FileNotFoundError:
            return None
        body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
        tables = {node.targets[0].id: ast.literal_eval(node.value) for node in body if isinstance(node, ast.Assign)}
        return {key: tables["openapi_types"][field] for field, key in tables["attribute_map"].items()}

    def of_model(self, value, kind, where):
        """A type is spelled as in Python: str, list[V1Container], dict(str, str), V1beta1PredictorSpec."""
        if kind in PLAIN:
            if not isinstance(value, PLAIN[kind]):
                yield f"{where} is {value!r}, not of type {kind}"
        elif kind.startswith("list["):
            for i, one in enumerate(value):
                yield from self.of_model(one, kind[5:-1], f"{where}[{i}]")
        elif kind.startswith("dict("):
            for name, one in value.items():
                yield from self.of_model(one, kind.partition(",")[2].strip(" )"), f"{where}.{name}")
        elif self.model(kind) is None:
            ends = [name for name in self.schemas if name.rpartition(".")[2] == kind.removeprefix("V1") and ".core.v1." in name or name.endswith(f".meta.v1.{kind[2:]}")]
            if ends:
                yield from faults(value, self.schemas[ends[0]], where, self.of)
        else:
            for name, one in value.items():
                if name not in self.model(kind):
                    yield f"{where} knows no {name}"
                else:
                    yield from self.of_model(one, self.model(kind)[name], f"{where}.{name}")
