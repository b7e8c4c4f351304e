// People who use matrix-js-sdk. The harness says what they do, a line of JSON each, and gets a line of JSON back, in the language that
// python/person.py describes. A room is shown in the same shape as there, so that the two can be compared.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import {
    ClientEvent,
    createClient,
    Direction,
    MatrixEventEvent,
    NotificationCountType,
    ReceiptType,
    RoomEvent,
    RoomMemberEvent,
    RoomStateEvent,
    ThreadEvent,
    TimelineWindow,
} from "matrix-js-sdk";

const PAGE = 20;
const server = process.argv[2];
const people = new Map();

// The answers have the standard output for themselves.
for (const level of ["trace", "debug", "log", "info", "warn"]) {
    console[level] = () => {};
}
const quiet = {
    trace() {},
    debug() {},
    info() {},
    warn() {},
    error: (...words) => console.error("matrix-js-sdk:", ...words),
    getChild: () => quiet,
};

/** Whether what is shown contains what is waited for. */
function holds(have, want) {
    if (want && typeof want === "object" && !Array.isArray(want)) {
        return !!have && typeof have === "object" && Object.entries(want).every(([key, value]) => holds(have[key], value));
    }
    return JSON.stringify(have) === JSON.stringify(want);
}

class Person {
    constructor(account, lazy) {
        this.lazy = lazy;
        this.waiting = new Set();
        this.client = createClient({
            baseUrl: server,
            userId: account.user_id,
            accessToken: account.access_token,
            deviceId: account.device_id,
            timelineSupport: true,
            logger: quiet,
        });
        // A model may change after its event is told, hence a second look.
        const look = () => {
            this.check();
            setImmediate(() => this.check());
        };
        for (const event of [
            ...[ClientEvent.Sync, ClientEvent.Room, ClientEvent.DeleteRoom, MatrixEventEvent.Replaced],
            ...[RoomEvent.Timeline, RoomEvent.TimelineReset, RoomEvent.Receipt, RoomEvent.LocalEchoUpdated, RoomEvent.Tags],
            ...[RoomEvent.AccountData, RoomEvent.MyMembership, RoomEvent.UnreadNotifications, RoomStateEvent.Update],
            ...[RoomMemberEvent.Typing, ThreadEvent.New, ThreadEvent.Update, ThreadEvent.NewReply],
        ]) {
            this.client.on(event, look);
        }
    }

    async follow() {
        await this.client.startClient({ threadSupport: true, lazyLoadMembers: this.lazy, initialSyncLimit: PAGE });
    }

    check() {
        for (const look of this.waiting) {
            look();
        }
    }

    room(id) {
        return this.client.getRoom(id);
    }

    event(room, id) {
        const event = this.room(room)?.findEventById(id);
        if (!event) {
            throw new Error(`${id} is unknown`);
        }
        return event;
    }

    show(id) {
        const room = this.room(id);
        const own = room?.getMyMembership() ?? null;
        const membership = own === "ban" ? "leave" : own;
        if (membership !== "join") {
            return { membership };
        }
        const state = {};
        for (const [type, keys] of room.currentState.events) {
            for (const [key, event] of keys) {
                state[`${type}|${key}`] = event.getId();
            }
        }
        const content = (type) => room.currentState.getStateEvents(type, "")?.getContent() ?? {};
        const members = room.currentState.getMembers().filter((member) => ["join", "invite"].includes(member.membership));
        const threads = room.getThreads();
        const events = this.events(room);
        const receipts = {};
        for (const { userId } of members) {
            const of = {};
            const main = room.getReadReceiptForUserId(userId, true);
            if (main) {
                of.main = main.eventId;
            }
            for (const thread of threads) {
                const receipt = thread.getReadReceiptForUserId(userId, true);
                if (receipt) {
                    of[thread.id] = receipt.eventId;
                }
            }
            if (Object.keys(of).length > 0) {
                receipts[userId] = of;
            }
        }
        const { Total, Highlight } = NotificationCountType;
        const unreadThreads = threads
            .map((thread) => [
                thread.id,
                {
                    total: room.getThreadUnreadNotificationCount(thread.id, Total),
                    highlight: room.getThreadUnreadNotificationCount(thread.id, Highlight),
                },
            ])
            .filter(([, unread]) => unread.total > 0);
        return {
            membership,
            name: content("m.room.name").name ?? null,
            topic: content("m.room.topic").topic ?? null,
            join_rule: room.getJoinRule(),
            history_visibility: room.getHistoryVisibility(),
            members: Object.fromEntries(
                members.map((member) => [
                    member.userId,
                    {
                        membership: member.membership,
                        displayname: member.events.member?.getContent().displayname ?? null,
                        level: member.powerLevel,
                    },
                ]),
            ),
            state,
            fully_read: room.getAccountData("m.fully_read")?.getContent().event_id ?? null,
            tags: room.tags,
            typing: members
                .filter((member) => member.typing)
                .map((member) => member.userId)
                .sort(),
            receipts,
            unread: { total: room.getUnreadNotificationCount(Total), highlight: room.getUnreadNotificationCount(Highlight) },
            threads_unread: Object.fromEntries(unreadThreads),
            redacted: Object.fromEntries(events.filter((event) => event.isRedacted()).map((event) => [event.getId(), true])),
            bodies: Object.fromEntries(
                events
                    .filter((event) => event.getType() === "m.room.message" && !event.isRedacted() && !event.isRelation("m.replace"))
                    .map((event) => [event.getId(), event.getContent().body]),
            ),
            reactions: this.reactions(room, events),
        };
    }

    /** All events that are known, of the main line and the threads, without what the server has not told yet. */
    events(room) {
        const sets = [room.getUnfilteredTimelineSet(), ...room.getThreads().map((thread) => thread.timelineSet)];
        const events = new Map();
        for (const set of sets) {
            for (const timeline of set.getTimelines()) {
                for (const event of timeline.getEvents()) {
                    if (event.status === null) {
                        events.set(event.getId(), event);
                    }
                }
            }
        }
        return [...events.values()];
    }

    reactions(room, events) {
        const counts = {};
        for (const event of events) {
            const sets = [room, ...room.getThreads().map((thread) => thread.timelineSet)];
            for (const { relations } of sets) {
                const found = relations?.getChildEventsForEvent(event.getId(), "m.annotation", "m.reaction");
                for (const [key, events] of found?.getSortedAnnotationsByKey() ?? []) {
                    if (events.size > 0) {
                        counts[event.getId()] = { ...counts[event.getId()], [key]: events.size };
                    }
                }
            }
        }
        return counts;
    }

    /** Whether an event has come from the server, and with its thread, which the library asks for when it first hears of it. */
    seen(room, id) {
        const event = this.room(room)?.findEventById(id);
        const thread = event?.getThread();
        return event?.status === null && (!thread || thread.initialEventsFetched);
    }

    /** Waits until the room is shown as wanted, with an event if one is named. The harness bounds the wait. */
    do_until({ room, event, want = {} }) {
        return new Promise((resolve, reject) => {
            const look = () => {
                try {
                    if ((!event || this.seen(room, event)) && holds(this.show(room), want)) {
                        this.waiting.delete(look);
                        resolve(null);
                    }
                } catch (error) {
                    this.waiting.delete(look);
                    reject(error);
                }
            };
            this.waiting.add(look);
            look();
        });
    }

    async do_show({ room }) {
        await this.room(room)?.loadMembersIfNeeded();
        return this.show(room);
    }

    /** All that this person can see of the room, in order: what came by sync, and what stands before it. */
    async do_timeline({ room: id }) {
        const room = this.room(id);
        const main = await this.whole(room.getUnfilteredTimelineSet());
        const threads = {};
        for (const thread of room.getThreads()) {
            // The library begins a thread that it comes upon by asking for its events.
            while (!thread.initialEventsFetched) {
                await new Promise((resolve) => thread.once(ThreadEvent.Update, resolve));
            }
            threads[thread.id] = await this.whole(thread.timelineSet);
        }
        return { main, threads };
    }

    async whole(set) {
        const window = new TimelineWindow(this.client, set, { windowLimit: Infinity });
        await window.load(undefined, PAGE);
        while (window.canPaginate(Direction.Backward)) {
            await window.paginate(Direction.Backward, PAGE);
        }
        return window
            .getEvents()
            .filter((event) => event.status === null)
            .map((event) => event.getId());
    }

    /** The state as the server tells it when asked. */
    async do_server({ room }) {
        const events = await this.client.roomState(room);
        return Object.fromEntries(events.map((event) => [`${event.type}|${event.state_key}`, event.event_id]));
    }

    async do_create({ name, invite, preset }) {
        return (await this.client.createRoom({ name, invite, preset })).room_id;
    }

    async do_send({ room, type, content }) {
        const relation = content["m.relates_to"];
        const root = relation?.rel_type === "m.thread" ? relation.event_id : null;
        if (root && !this.room(room).getThread(root)) {
            // As an application does before somebody writes the first answer.
            this.room(room).createThread(root, this.event(room, root), [], true);
        }
        return (await this.client.sendEvent(room, root, type, content)).event_id;
    }

    async do_state({ room, type, content, key = "" }) {
        return (await this.client.sendStateEvent(room, type, content, key)).event_id;
    }

    async do_redact({ room, event, reason }) {
        return (await this.client.redactEvent(room, event, undefined, { reason })).event_id;
    }

    async do_invite({ room, user }) {
        await this.client.invite(room, user);
    }

    async do_join({ room }) {
        await this.client.joinRoom(room);
    }

    async do_leave({ room }) {
        await this.client.leave(room);
    }

    async do_forget({ room }) {
        await this.client.forget(room);
    }

    async do_kick({ room, user, reason }) {
        await this.client.kick(room, user, reason);
    }

    async do_ban({ room, user, reason }) {
        await this.client.ban(room, user, reason);
    }

    async do_unban({ room, user }) {
        await this.client.unban(room, user);
    }

    async do_typing({ room, typing }) {
        await this.client.sendTyping(room, typing, 30_000);
    }

    async do_receipt({ room, event, private: hidden }) {
        await this.client.sendReadReceipt(this.event(room, event), hidden ? ReceiptType.ReadPrivate : ReceiptType.Read);
    }

    async do_fully_read({ room, event }) {
        await this.client.setRoomReadMarkers(room, event);
    }

    async do_displayname({ name }) {
        await this.client.setDisplayName(name);
    }

    async do_tag({ room, tag, order }) {
        await this.client.setRoomTag(room, tag, { order });
    }
}

async function enter({ do: how, who, name, password, lazy = false }) {
    const door = createClient({ baseUrl: server, logger: quiet });
    const identifier = { type: "m.id.user", user: name };
    const account =
        how === "register"
            ? await register(door, name, password)
            : await door.loginRequest({ type: "m.login.password", identifier, password });
    const person = new Person(account, lazy);
    people.set(who, person);
    await person.follow();
    return { user: account.user_id, device: account.device_id };
}

/** The first attempt is told, as the specification wants, what is asked for. */
async function register(door, username, password) {
    const refused = await door.registerRequest({ username, password }).then(
        () => ({}),
        (error) => error,
    );
    if (!refused.data?.session) {
        throw new Error(`no stages offered: ${refused}`);
    }
    return door.registerRequest({ username, password, auth: { type: "m.login.dummy", session: refused.data.session } });
}

async function answer(ask) {
    try {
        if (ask.do === "register" || ask.do === "login") {
            return { id: ask.id, ok: await enter(ask) };
        }
        return { id: ask.id, ok: (await people.get(ask.who)[`do_${ask.do}`](ask)) ?? null };
    } catch (error) {
        return { id: ask.id, error: String(error?.stack ?? error) };
    }
}

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const manifest = createRequire(import.meta.url).resolve("matrix-js-sdk").replace(/lib\/index\.js$/, "package.json");
say({ library: `matrix-js-sdk ${JSON.parse(readFileSync(manifest, "utf8")).version}, Node ${process.versions.node}` });
for await (const line of createInterface({ input: process.stdin })) {
    // One who waits does not keep the others from answering.
    void answer(JSON.parse(line)).then(say);
}
for (const person of people.values()) {
    person.client.stopClient();
}
process.exit(0);
