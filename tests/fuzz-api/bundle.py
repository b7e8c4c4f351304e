"""Makes one OpenAPI document of the files in the specification's folder `data/api`.

Each file there describes a few endpoints below a base path of its own, and refers to other files. What is referred to is put in
its place; where that would have no end, anything is allowed.
"""

from pathlib import Path

import yaml

# Below `data/api`. Of the server-server interface, what is asked without a signature.
FILES = ["client-server/*.yaml", "server-server/keys_server.yaml"]
METHODS = {"get", "put", "post", "delete"}


class Files:
    """The files, read once each."""

    def __init__(self) -> None:
        self._read: dict[Path, object] = {}

    def read(self, path: Path):
        if path not in self._read:
            with path.open(encoding="utf-8") as file:
                self._read[path] = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return self._read[path]

    def resolved(self, node, path: Path, within: tuple = ()):
        """`node`, which stands in the file `path`, without references; `within`: those that lead here."""
        if isinstance(node, list):
            return [self.resolved(item, path, within) for item in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return {key: self.resolved(value, path, within) for key, value in node.items() if not key.startswith("x-")}
        name, _, pointer = reference.partition("#")
        target = (path.parent / name).resolve() if name else path
        if (target, pointer) in within:
            return {}
        found = self.read(target)
        for part in filter(None, pointer.split("/")):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        found = self.resolved(found, target, (*within, (target, pointer)))
        beside = {key: self.resolved(value, path, within) for key, value in node.items() if key != "$ref"}
        return {**found, **beside}


def bundle(folder: Path) -> dict:
    """One document; its paths begin with `/`, its operations carry the name of their file."""
    files, paths = Files(), {}
    sources = [source for pattern in FILES for source in sorted(folder.glob(pattern))]
    if not sources:
        raise SystemExit(f"{folder} has no client-server/*.yaml: is it the folder data/api of the specification?")
    for source in sources:
        source = source.resolve()
        document = files.read(source)
        if "paths" not in document:
            continue
        base = document["servers"][0]["variables"]["basePath"]["default"].rstrip("/")
        for path, item in document["paths"].items():
            item = files.resolved(item, source)
            shared = item.get("parameters", [])
            for method in METHODS & item.keys():
                operation = item[method]
                operation["parameters"] = shared + operation.get("parameters", [])
                operation.pop("security", None)
                paths.setdefault(base + path, {})[method] = operation
    return {"openapi": "3.1.0", "info": {"title": "Matrix", "version": "1"}, "paths": dict(sorted(paths.items()))}
