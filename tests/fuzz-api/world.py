"""A server under test, and what is in it: people, rooms and events whose names make requests reach further than the first check."""

import json
import re
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import requests

CLIENT = "/_matrix/client/v3"
# Seconds. Far above what any request takes here; one that waits longer hangs.
TIMEOUT = 60
PASSWORD = "correct horse battery"


class Server:
    """The program `binary` in a process of its own, with its data and its log in `folder`, on an address of this machine."""

    def __init__(self, binary: str, folder: Path) -> None:
        self.binary, self.folder = binary, folder
        self.data = folder / "data"
        self.log = folder / "log"
        command = [binary, "serve", "--dev", "--server-name", "localhost", "--listen", "127.0.0.1:0", "--data-dir", self.data]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.url = ""
        for line in self.process.stdout:
            found = re.search(r"  listening on (http://\S+)", line)
            if found:
                self.url = found[1]
                break
        if not self.url:
            raise SystemExit(f"the server did not start: {self.log.read_text()}")
        self.session = requests.Session()

    def ask(self, method: str, path: str, token: str | None = None, body=None) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.session.request(method, self.url + path, headers=headers, json=body, timeout=TIMEOUT)

    def stop(self) -> int:
        """Ends it as an operator would; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return -9

    def damage(self) -> str:
        """What is wrong with the data that it left; empty when nothing is."""
        config = self.folder / "config.toml"
        config.write_text(f'[server]\nname = "localhost"\n[data]\ndir = "{self.data}"\n')
        verified = subprocess.run([self.binary, "verify", "--config", config], capture_output=True, text=True, check=False)
        return "" if verified.returncode == 0 else verified.stdout + verified.stderr

    def panics(self) -> list[str]:
        return [line for line in self.log.read_text(errors="replace").splitlines() if "panicked" in line]


class World:
    """Two people, rooms of theirs, one that the first is not in, and events. Everything is new, whatever requests did before."""

    made = 0

    def __init__(self, server: Server) -> None:
        self.server = server
        World.made += 1
        self.number = World.made
        self.user, self.token = self.person("ada")
        self.other, self.other_token = self.person("ben")
        self.room = self.make_room(self.token, {"name": "Ward", "room_alias_name": f"ward{self.number}"})
        self.ask("POST", f"/rooms/{quote(self.room)}/invite", {"user_id": self.other})
        self.open_room = self.make_room(self.other_token, {"preset": "public_chat", "name": "Open"})
        self.foreign = self.make_room(self.other_token, {"name": "Closed"})
        self.space = self.make_room(self.token, {"creation_content": {"type": "m.space"}})
        self.ask("PUT", f"/rooms/{quote(self.space)}/state/m.space.child/{quote(self.room)}", {"via": ["localhost"]})
        self.event = self.say({"msgtype": "m.text", "body": "root"})
        self.reply = self.say({
            "msgtype": "m.text",
            "body": "reply",
            "m.relates_to": {"rel_type": "m.thread", "event_id": self.event},
        })
        self.filter = self.ask("POST", f"/user/{quote(self.user)}/filter", {}).get("filter_id", "0")
        self.since = self.ask("GET", "/sync").get("next_batch", "s")
        self.place = self.ask("GET", f"/rooms/{quote(self.room)}/messages?dir=b&limit=1").get("end", "t")
        self.values = self.named()

    def person(self, name: str) -> tuple[str, str]:
        account = {"username": f"{name}{self.number}", "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        made = self.server.ask("POST", f"{CLIENT}/register", body=account)
        if made.status_code != 200:
            raise SystemExit(f"nobody can register: {made.status_code} {made.text}")
        return made.json()["user_id"], made.json()["access_token"]

    def sign_in(self) -> None:
        """Both have sessions again, whatever ended the old ones."""
        self.token, self.other_token = (self.session(user) for user in (self.user, self.other))

    def session(self, user: str) -> str:
        who = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": PASSWORD}
        answer = self.server.ask("POST", f"{CLIENT}/login", body=who)
        if answer.status_code != 200:
            raise SystemExit(f"{user} cannot sign in: {answer.status_code} {answer.text}")
        return answer.json()["access_token"]

    def make_room(self, token: str, how: dict) -> str:
        made = self.server.ask("POST", f"{CLIENT}/createRoom", token, how)
        if made.status_code != 200:
            raise SystemExit(f"no room can be made of {json.dumps(how)}: {made.status_code} {made.text}")
        return made.json()["room_id"]

    def say(self, content: dict) -> str:
        transaction = f"{self.number}-{time.monotonic_ns()}"
        return self.ask("PUT", f"/rooms/{quote(self.room)}/send/m.room.message/{transaction}", content).get("event_id", "$")

    def ask(self, method: str, path: str, body=None) -> dict:
        return self.server.ask(method, CLIENT + path, self.token, body).json()

    def named(self) -> dict[str, list]:
        """Values that exist, by the name of the parameter or field that they fit, in lower case and without underscores."""
        rooms = [self.room, self.room, self.open_room, self.foreign, self.space]
        people, events = [self.user, self.other], [self.event, self.reply]
        aliases = [f"#ward{self.number}:localhost", f"#new{time.monotonic_ns()}:localhost"]
        places = [self.since, self.place]
        return {
            "roomid": rooms,
            "roomidoralias": rooms + aliases,
            "roomalias": aliases,
            "alias": aliases,
            "altaliases": [aliases],
            "userid": people,
            "user": people,
            "invite": [[self.other], []],
            "eventid": events,
            "parentid": events,
            "m.fullyread": events,
            "m.read": events,
            "m.read.private": events,
            "threadid": ["main", self.event],
            "from": places,
            "to": places,
            "since": [self.since],
            "at": [self.since],
            "dir": ["b", "f"],
            "filterid": [self.filter],
            "filter": [self.filter, '{"room":{"timeline":{"limit":2}}}', '{"lazy_load_members":true}'],
            "eventtype": ["m.room.message", "m.room.name", "m.room.power_levels", "m.room.member", "m.room.redaction", "org.example.a"],
            "reltype": ["m.thread", "m.annotation", "m.reference"],
            "receipttype": ["m.read", "m.read.private", "m.fully_read"],
            "statekey": ["", self.user, self.other],
            "txnid": [f"{time.monotonic_ns()}", "again"],
            "type": ["m.login.password", "m.room.topic"],
            "roomversion": ["6", "10", "11", "12"],
            "newversion": ["6", "10", "11", "12"],
            "version": ["6", "11", "12"],
            "visibility": ["public", "private"],
            "username": [f"eve{time.monotonic_ns()}"],
            "servername": ["localhost"],
            "via": [["localhost"]],
            "limit": [1, 5, 1000],
            "ts": [0, int(time.time() * 1000)],
        }
