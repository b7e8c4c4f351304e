"""People who use matrix-nio. The harness says what they do, a line of JSON each, and gets a line of JSON back.

`{"id": 1, "who": "alice", "do": "send", …}` is answered by `{"id": 1, "ok": …}` or `{"id": 1, "error": "…"}`. js/person.mjs speaks the
same language through another library, and shows a room in the same shape, so that the two can be compared.
"""

import asyncio
import json
import sys
from importlib.metadata import version

import nio

POLL_MS = 30_000
PAGE = 20


class Refused(Exception):
    """The server, or the library, said no."""


def good(response):
    if isinstance(response, nio.ErrorResponse):
        raise Refused(f"{type(response).__name__}: {response.status_code} {response.message}")
    return response


def holds(have, want):
    """Whether what is shown contains what is waited for."""
    if isinstance(want, dict):
        return isinstance(have, dict) and all(holds(have.get(key), value) for key, value in want.items())
    return have == want


class Room:
    """What an application keeps of a room beside the library's own model: the line of events, and the state by type and key."""

    def __init__(self):
        self.membership = None
        self.order = []
        self.events = {}
        self.state = {}
        self.threads = {}
        self.receipts = {}

    def append(self, source, at=None):
        """Adds an event to the line; false if it is there already."""
        if source["event_id"] in self.events:
            return False
        self.events[source["event_id"]] = source
        self.order.insert(len(self.order) if at is None else at, source["event_id"])
        return True

    def note(self, source):
        if "state_key" in source:
            self.state[f"{source['type']}|{source['state_key']}"] = source["event_id"]

    def relations(self, kind):
        for event in self.order:
            relation = self.events[event].get("content", {}).get("m.relates_to", {})
            if relation.get("rel_type") == kind and event not in self.redacted():
                yield event, relation

    def redacted(self):
        """Redacted by an event of the line, or before it was got."""
        gone = {event for event, source in self.events.items() if "redacted_because" in source.get("unsigned", {})}
        for source in self.events.values():
            if source["type"] == "m.room.redaction" and "redacted_because" not in source.get("unsigned", {}):
                gone.add(source.get("redacts") or source["content"].get("redacts"))
        return gone

    def bodies(self):
        gone = self.redacted()
        shown = {}
        for event in self.order:
            source = self.events[event]
            if source["type"] == "m.room.message" and event not in gone:
                shown[event] = source["content"].get("body")
        for event, relation in self.relations("m.replace"):
            del shown[event]
            if relation["event_id"] in shown:
                shown[relation["event_id"]] = self.events[event]["content"]["m.new_content"]["body"]
        return shown

    def reactions(self):
        counts = {}
        for _, relation in self.relations("m.annotation"):
            of = counts.setdefault(relation["event_id"], {})
            of[relation["key"]] = of.get(relation["key"], 0) + 1
        return counts


class Person:
    def __init__(self, server, name, by_thread):
        self.client = nio.AsyncClient(server, name)
        self.rooms = {}
        self.news = asyncio.Condition()
        self.failed = None
        self.filter = {"room": {"timeline": {"unread_thread_notifications": True}}} if by_thread else None

    def follow(self):
        self.client.add_response_callback(self.on_sync, nio.SyncResponse)
        self.client.add_response_callback(self.on_error, nio.SyncError)
        self.task = asyncio.create_task(self.run())

    async def run(self):
        try:
            await self.client.sync_forever(POLL_MS, self.filter)
        except Exception as error:  # told to whoever waits
            self.failed = repr(error)
            async with self.news:
                self.news.notify_all()

    async def on_error(self, response):
        raise Refused(f"sync: {response}")

    async def on_sync(self, response):
        for room_id in response.rooms.invite:
            self.room(room_id).membership = "invite"
        for membership, rooms in (("join", response.rooms.join), ("leave", response.rooms.leave)):
            for room_id, info in rooms.items():
                room = self.room(room_id)
                room.membership = membership
                for event in info.state:
                    room.note(event.source)
                if info.timeline.limited:
                    await self.fill_gap(room_id, room, info.timeline)
                for event in info.timeline.events:
                    room.append(event.source)
                    room.note(event.source)
                # The library's model has one place for a user's public and private receipts, whichever comes last.
                for event in info.ephemeral:
                    for receipt in event.receipts if isinstance(event, nio.ReceiptEvent) else []:
                        if receipt.receipt_type == "m.read":
                            room.receipts.setdefault(receipt.user_id, {})[receipt.thread_id or "main"] = receipt.event_id
                if membership == "join":
                    room.threads = {
                        thread: {"total": unread.notification_count, "highlight": unread.highlight_count}
                        for thread, unread in (info.unread_thread_notifications or {}).items()
                    }
        async with self.news:
            self.news.notify_all()

    async def fill_gap(self, room_id, room, timeline):
        """Pages back from the gap to what is known, or to the beginning."""
        at, start, known = len(room.order), timeline.prev_batch, False
        while start and not known:
            page = good(await self.client.room_messages(room_id, start, limit=PAGE))
            for event in page.chunk:
                known = not room.append(event.source, at)
                if known:
                    break
            start = page.end

    def room(self, room_id):
        return self.rooms.setdefault(room_id, Room())

    def show(self, room_id):
        room = self.room(room_id)
        model = self.client.rooms.get(room_id)
        view = {"membership": room.membership}
        if model is None or room.membership != "join":
            return view
        total, highlight = model.unread_notifications, model.unread_highlights
        if self.filter:
            total += sum(thread["total"] for thread in room.threads.values())
            highlight += sum(thread["highlight"] for thread in room.threads.values())
            view["threads_unread"] = {thread: unread for thread, unread in room.threads.items() if unread["total"]}
        # From room version 12 on a creator stands above all levels, which the library does not know.
        create = next((event for event in room.events.values() if event["type"] == "m.room.create"), None)
        creators = [create["sender"]] if create and int(model.room_version) >= 12 else []
        receipts = {user: threads for user, threads in room.receipts.items() if user in model.users}
        return view | {
            "name": model.name,
            "topic": model.topic,
            "join_rule": model.join_rule,
            "history_visibility": model.history_visibility,
            "members": {
                user: {
                    "membership": "invite" if member.invited else "join",
                    "displayname": member.display_name,
                    "level": None if user in creators else model.power_levels.get_user_level(user),
                }
                for user, member in model.users.items()
            },
            "state": room.state,
            "fully_read": model.fully_read_marker,
            "tags": model.tags,
            "typing": sorted(model.typing_users),
            "receipts": receipts,
            "unread": {"total": total, "highlight": highlight},
            "redacted": {event: True for event in room.redacted()},
            "bodies": room.bodies(),
            "reactions": room.reactions(),
        }

    async def do_until(self, ask):
        """Waits until the room is shown as wanted, with an event if one is named. The harness bounds the wait."""
        while True:
            if self.failed:
                raise Refused(self.failed)
            seen = "event" not in ask or ask["event"] in self.room(ask["room"]).events
            if seen and holds(self.show(ask["room"]), ask.get("want", {})):
                return None
            async with self.news:
                await self.news.wait()

    async def do_show(self, ask):
        return self.show(ask["room"])

    async def do_timeline(self, ask):
        """All that this person can see of the room, in order: what came by sync, and what stands before it."""
        room = self.room(ask["room"])
        start = None
        while True:
            page = good(await self.client.room_messages(ask["room"], start, limit=PAGE))
            for event in page.chunk:
                room.append(event.source, 0)
            start = page.end
            if not start:
                return {"main": room.order, "threads": {}}

    async def do_server(self, ask):
        """The state as the server tells it when asked."""
        events = good(await self.client.room_get_state(ask["room"])).events
        return {f"{event['type']}|{event['state_key']}": event["event_id"] for event in events}

    async def do_create(self, ask):
        answer = await self.client.room_create(name=ask["name"], invite=ask["invite"], preset=nio.RoomPreset(ask["preset"]))
        return good(answer).room_id

    async def do_send(self, ask):
        return good(await self.client.room_send(ask["room"], ask["type"], ask["content"])).event_id

    async def do_state(self, ask):
        answer = await self.client.room_put_state(ask["room"], ask["type"], ask["content"], ask.get("key", ""))
        return good(answer).event_id

    async def do_redact(self, ask):
        return good(await self.client.room_redact(ask["room"], ask["event"], ask.get("reason"))).event_id

    async def do_invite(self, ask):
        good(await self.client.room_invite(ask["room"], ask["user"]))

    async def do_join(self, ask):
        good(await self.client.join(ask["room"]))

    async def do_leave(self, ask):
        good(await self.client.room_leave(ask["room"]))

    async def do_forget(self, ask):
        good(await self.client.room_forget(ask["room"]))

    async def do_kick(self, ask):
        good(await self.client.room_kick(ask["room"], ask["user"], ask["reason"]))

    async def do_ban(self, ask):
        good(await self.client.room_ban(ask["room"], ask["user"], ask["reason"]))

    async def do_unban(self, ask):
        good(await self.client.room_unban(ask["room"], ask["user"]))

    async def do_typing(self, ask):
        good(await self.client.room_typing(ask["room"], ask["typing"]))

    async def do_receipt(self, ask):
        kind = nio.ReceiptType.read_private if ask.get("private") else nio.ReceiptType.read
        good(await self.client.update_receipt_marker(ask["room"], ask["event"], kind, ask["thread"]))

    async def do_fully_read(self, ask):
        good(await self.client.room_read_markers(ask["room"], ask["event"]))

    async def do_displayname(self, ask):
        good(await self.client.set_displayname(ask["name"]))


async def enter(people, server, ask):
    person = Person(server, ask["name"], ask.get("by_thread", False))
    if ask["do"] == "register":
        good(await person.client.register(ask["name"], ask["password"]))
    else:
        good(await person.client.login(ask["password"]))
    person.follow()
    people[ask["who"]] = person
    return {"user": person.client.user_id, "device": person.client.device_id}


async def answer(people, server, ask):
    try:
        if ask["do"] in ("register", "login"):
            said = {"ok": await enter(people, server, ask)}
        else:
            said = {"ok": await getattr(people[ask["who"]], f"do_{ask['do']}")(ask)}
    except Exception as error:  # told to the harness, which fails the test
        said = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps({"id": ask["id"]} | said), flush=True)


async def main(server):
    print(json.dumps({"library": f"matrix-nio {version('matrix-nio')}, Python {sys.version.split()[0]}"}), flush=True)
    people, answers = {}, set()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        # One who waits does not keep the others from answering.
        task = asyncio.create_task(answer(people, server, json.loads(line)))
        answers.add(task)
        task.add_done_callback(answers.discard)
    for person in people.values():
        person.task.cancel()
        await person.client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
