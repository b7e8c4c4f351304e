"""Asks a server everything that the specification's own OpenAPI files describe, well formed and not, with values that exist and not.

It fails on an answer of status 5xx, on one that is not JSON or an error without an error code, on a request that hangs, on a panic in
the log, on a server that does not end when it is told to, on data in which `wardstead verify` finds damage, and on a success whose
body is not what the files promise.
"""

import argparse
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from urllib.parse import quote

import jsonschema_rs
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from bundle import bundle
from world import TIMEOUT, Server, World

# Requests after which everything is made anew: some of them end a session or a membership.
RENEW = 40
# Milliseconds. A long poll waits no longer than this.
WAIT_MS = 20
# Where the data is, if it is there: nothing here is about the disk.
MEMORY = Path("/dev/shm")
# At most so many findings of one kind are shown for one endpoint.
SHOWN = 3

FORMATS = {
    "mx-user-id": ["@ada1:localhost", "@nobody:localhost", "@ada:elsewhere.example", "@:localhost", "@ada"],
    "mx-room-id": ["!nowhere:localhost", "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM", "!", "!a:b:c"],
    "mx-room-alias": ["#nothing:localhost", "#ward1:localhost", "#:localhost", "#a b:elsewhere.example"],
    "mx-event-id": ["$nothing", "$31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM", "$a:localhost", "$"],
    "mx-mxc-uri": ["mxc://localhost/a", "mxc://"],
    "mx-server-name": ["localhost", "elsewhere.example:8448", "[::1]"],
    "mx-unpadded-base64": ["YWJj", ""],
    "mx-urlsafe-unpadded-base64": ["YWJj", "-_"],
}


class Findings:
    """What was wrong, by endpoint and kind."""

    def __init__(self) -> None:
        self.kinds: dict[tuple[str, str], list[str]] = {}

    def add(self, endpoint: str, kind: str, text: str) -> None:
        self.kinds.setdefault((endpoint, kind), []).append(text)

    def show(self) -> None:
        for (endpoint, kind), texts in sorted(self.kinds.items()):
            print(f"fuzz-api: {endpoint}: {kind} ({len(texts)} times)")
            for text in texts[:SHOWN]:
                print(f"    {text}")


def promised(operation: dict, status: int):
    """A validator of the JSON body that the files promise for `status`, if they do."""
    content = operation.get("responses", {}).get(str(status), {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return schema and jsonschema_rs.Draft202012Validator(schema)


class Endpoint:
    """One method of one path, and how its requests are made to mean something."""

    def __init__(self, server: Server, findings: Findings, path: str, method: str, described: dict) -> None:
        self.server, self.findings = server, findings
        self.name = f"{method.upper()} {path}"
        self.promised = {int(status): promised(described, status) for status in described["responses"] if status.isdigit()}
        self.world: World | None = None
        self.asked = 0
        self.statuses: dict[int, int] = {}

    def value(self, name: str, luck: random.Random):
        known = self.world.values.get(name.lower().replace("_", ""))
        return luck.choice(known) if known and luck.random() < 0.5 else None

    def lucky(self, body, luck: random.Random):
        """`body` with values that exist in half of the places where one fits."""
        if isinstance(body, list):
            return [self.lucky(item, luck) for item in body]
        if not isinstance(body, dict):
            return body
        chosen = {}
        for name, value in body.items():
            known = self.value(name, luck) if isinstance(name, str) else None
            chosen[name] = self.lucky(value, luck) if known is None else known
        return chosen

    def prepare(self, case, luck: random.Random) -> dict:
        """Puts values that exist into half of the parameters, and says which headers to send."""
        if self.world is None or self.asked % RENEW == 0:
            self.world = World(self.server)
        self.asked += 1
        for name in list(case.path_parameters or {}):
            known = self.value(name, luck)
            if known is not None:
                case.path_parameters[name] = quote(str(known), safe="")
        query = case.query if isinstance(case.query, dict) else {}
        for name in list(query):
            known = self.value(name, luck)
            if known is not None:
                query[name] = known
        if str(query.get("timeout", "")).lstrip("+").isdigit():
            query["timeout"] = min(int(query["timeout"]), WAIT_MS)
        if isinstance(case.body, (dict, list)):
            case.body = self.lucky(case.body, luck)
        token = luck.choice([self.world.token] * 6 + [self.world.other_token])
        return {"Authorization": f"Bearer {token}"}

    def ask(self, case, luck: random.Random) -> None:
        headers = self.prepare(case, luck)
        try:
            response = case.call(base_url=self.server.url, headers=headers, timeout=TIMEOUT)
        except requests.Timeout:
            self.find("no answer", case, "")
            return
        except requests.ConnectionError as error:
            self.find("no connection", case, str(error))
            return
        except (UnicodeError, ValueError, requests.RequestException) as error:
            # What cannot be written as a request does not reach the server.
            self.statuses[0] = self.statuses.get(0, 0) + 1
            del error
            return
        self.statuses[response.status_code] = self.statuses.get(response.status_code, 0) + 1
        self.judge(case, response)
        if response.status_code == 401 or self.name.endswith(("/logout", "/logout/all")):
            self.world.sign_in()

    def judge(self, case, response) -> None:
        status, text = response.status_code, response.content.decode(errors="replace")
        if status >= 500:
            self.find(f"status {status}", case, text)
            return
        try:
            answer = response.json()
        except ValueError:
            self.find("no JSON", case, f"{status} {text}")
            return
        if status >= 400 and not (isinstance(answer, dict) and (str(answer.get("errcode", "")).startswith("M_") or "flows" in answer)):
            self.find("no error code", case, f"{status} {text}")
        validator = self.promised.get(status)
        if validator and status < 400:
            for error in validator.iter_errors(answer):
                where = "/".join("#" if isinstance(part, int) else str(part) for part in error.instance_path)
                where = "/".join("*" if part[:1] in "!@$#" and len(part) > 1 else part for part in where.split("/"))
                self.find(f"not as promised at /{where}", case, error.message[:300])

    def find(self, kind: str, case, text: str) -> None:
        body = f" {str(case.body)[:400]}" if isinstance(case.body, (dict, list, str, bytes)) else ""
        asked = f"{case.method} {case.formatted_path} {case.query or ''}{body}"
        self.findings.add(self.name, kind, f"{asked} -> {text[:500]}")

    def fuzz(self, operation, mode: GenerationMode, examples: int, number: int) -> None:
        cases = operation.as_strategy(generation_mode=mode)

        @seed(number)
        @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))
        @given(case=cases, number=st.integers(0, 2**32 - 1))
        def each(case, number) -> None:
            self.ask(case, random.Random(number))

        try:
            each()
        except Unsatisfiable:
            # An endpoint without parameters cannot be asked wrongly.
            pass


def served(server: Server, path: str, method: str) -> bool:
    """Whether the server knows the endpoint. Without a token, nothing happens there."""
    filled = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
    answer = server.ask(method.upper(), filled, body=None if method == "get" else {})
    return not (answer.status_code in (404, 405) and answer.json().get("errcode") == "M_UNRECOGNIZED")


def unsound(path: Path) -> dict[str, str]:
    """Lines `METHOD path: kind # why`: what the files promise and should not."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return dict(line.split(" # ", 1) for line in lines if line and not line.startswith("#"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=Path, required=True, help="the folder data/api of the specification")
    parser.add_argument("--server", required=True, help="the program to test")
    parser.add_argument("--examples", type=int, default=60, help="requests for each endpoint, well formed; as many are malformed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a part of `METHOD path`")
    parser.add_argument("--least", type=int, default=1, help="how many endpoints must be served")
    parser.add_argument("--missing", action="store_true", help="name the endpoints that are not served")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, values in FORMATS.items():
        schemathesis.openapi.format(name, st.sampled_from(values))
    document = bundle(arguments.spec)
    findings, statuses, asked, missing, endpoints = Findings(), {}, 0, [], 0
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wardstead-fuzz-api-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        server = Server(arguments.server, Path(folder))
        try:
            for path, item in document["paths"].items():
                for method in list(item):
                    if not served(server, path, method):
                        missing.append(f"{method.upper()} {path}")
                        del item[method]
            document["paths"] = {path: item for path, item in document["paths"].items() if item}
            schema = schemathesis.openapi.from_dict(document)
            for found in schema.get_all_operations():
                operation = found.ok()
                if arguments.only not in f"{operation.method.upper()} {operation.path}":
                    continue
                described = document["paths"][operation.path][operation.method]
                endpoint = Endpoint(server, findings, operation.path, operation.method, described)
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    endpoint.fuzz(operation, mode, arguments.examples, arguments.seed)
                endpoints += 1
                asked += endpoint.asked
                told = ", ".join(f"{count} x {status or 'unsent'}" for status, count in sorted(endpoint.statuses.items()))
                print(f"fuzz-api: {endpoint.name}: {told}", flush=True)
                for status, count in endpoint.statuses.items():
                    statuses[status] = statuses.get(status, 0) + count
                if server.process.poll() is not None:
                    findings.add(endpoint.name, "the server ended", server.log.read_text(errors="replace")[-2000:])
                    break
        finally:
            code = server.stop()
        for line in server.panics():
            findings.add("the log", "a panic", line)
        if code != 0:
            findings.add("the end", f"exit code {code}", server.log.read_text(errors="replace")[-1000:])
        if damage := server.damage():
            findings.add("the data", "damage", damage[-1000:])
    known = unsound(Path(__file__).with_name("unsound.txt"))
    for endpoint, kind in list(findings.kinds):
        if f"{endpoint}: {kind}" in known:
            del findings.kinds[endpoint, kind]
    findings.show()
    print(f"fuzz-api: {len(missing)} endpoints of the specification are not served{': ' + ', '.join(missing) if arguments.missing else ''}")
    print(f"fuzz-api: seed {arguments.seed}: {asked} requests to {endpoints} endpoints in {time.monotonic() - begin:.0f} s;",
          ", ".join(f"{count} x {status or 'unsent'}" for status, count in sorted(statuses.items())))
    if endpoints < arguments.least and not arguments.only:
        print(f"fuzz-api: only {endpoints} endpoints are served, not {arguments.least}")
        return 1
    if findings.kinds:
        print(f"fuzz-api: {len(findings.kinds)} kinds of wrong answers")
        return 1
    print("fuzz-api: nothing wrong was found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
