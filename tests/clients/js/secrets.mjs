// Encrypted conversations with matrix-js-sdk and its Rust crypto, in one process: Alice and Bob verify each other and talk, a third device signs
// in, restores the backup and reads the history, a device is removed and gets nothing more. Ends with an error at the first thing that
// is not as it has to be; the harness gives the server's address and the password.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { ClientEvent, createClient, HttpApiEvent } from "matrix-js-sdk";
import { CryptoEvent, VerificationPhase, VerificationRequestEvent, VerifierEvent } from "matrix-js-sdk/lib/crypto-api/index.js";

const [server, password] = process.argv.slice(2);
/** Bound of whatever is waited for. Only a fault exceeds it. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 20;

for (const level of ["trace", "debug", "log", "info", "warn"]) {
    console[level] = () => {};
}
const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => quiet };

function ensure(holds, what) {
    if (!holds) {
        throw new Error(what);
    }
}

/** Looks until `look` gives something, which it returns. */
async function until(what, look) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
        const found = await look();
        if (found) {
            return found;
        }
        ensure(Date.now() < end, `waited in vain: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
}

class Device {
    /** Signs in, with keys of its own. `recovery` is what the user's secrets are encrypted with, once there is such a thing. */
    static async open(name, how, recovery) {
        const door = createClient({ baseUrl: server, logger: quiet });
        const identifier = { type: "m.id.user", user: name };
        const account = how === "register" ? await register(door, name) : await door.loginRequest({ type: "m.login.password", identifier, password });
        const device = new Device();
        device.recovery = recovery;
        device.user = account.user_id;
        device.id = account.device_id;
        device.ended = false;
        device.client = createClient({
            baseUrl: server,
            userId: account.user_id,
            accessToken: account.access_token,
            deviceId: account.device_id,
            logger: quiet,
            cryptoCallbacks: {
                getSecretStorageKey: async ({ keys }) => [Object.keys(keys)[0], device.recovery.privateKey],
                cacheSecretStorageKey: () => {},
            },
        });
        device.client.on(HttpApiEvent.SessionLoggedOut, () => {
            device.ended = true;
        });
        await device.client.initRustCrypto({ useIndexedDB: false });
        device.crypto = device.client.getCrypto();
        device.crypto.globalBlacklistUnverifiedDevices = false;
        await device.client.startClient({ initialSyncLimit: 50 });
        await until("a first sync", () => device.client.isInitialSyncComplete());
        return device;
    }

    /** The first device of its user: cross-signing, secret storage, backup. */
    async begin() {
        await this.crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: (request) => this.confirmed(request) });
        this.recovery = await this.crypto.createRecoveryKeyFromPassphrase();
        await this.crypto.bootstrapSecretStorage({
            createSecretStorageKey: async () => this.recovery,
            setupNewSecretStorage: true,
            setupNewKeyBackup: true,
        });
        ensure(await this.crypto.isCrossSigningReady(), "cross-signing is ready");
        ensure(await this.crypto.getActiveSessionBackupVersion(), "there is a backup");
    }

    /** A later device: its secrets come out of the storage. */
    async recover() {
        await until("its user's keys are known", () => this.crypto.userHasCrossSigningKeys(this.user, true));
        await this.crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: (request) => this.confirmed(request) });
        await this.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
        await this.crypto.checkKeyBackupAndEnable();
        return this.crypto.restoreKeyBackup();
    }

    /** What a password confirms. The first attempt is refused where it has to be confirmed at all. */
    async confirmed(request) {
        try {
            return await request(null);
        } catch (error) {
            if (!error.data?.session) {
                throw error;
            }
            const identifier = { type: "m.id.user", user: this.user };
            return request({ type: "m.login.password", identifier, password, session: error.data.session });
        }
    }

    async says(room, body) {
        return (await this.client.sendTextMessage(room, body)).event_id;
    }

    /** That the message `event` is shown, decrypted. */
    async reads(room, event, body) {
        const shown = await until(`${this.user} ${this.id} reads ${body}`, () => {
            const found = this.client.getRoom(room)?.findEventById(event);
            return found && !found.isBeingDecrypted() && found.getContent().body === body ? found : undefined;
        });
        ensure(shown.isEncrypted(), `${body} was sent encrypted`);
    }
}

/** The first attempt is told what is asked for. */
async function register(door, username) {
    const refused = await door.registerRequest({ username, password }).then(
        () => ({}),
        (error) => error,
    );
    ensure(refused.data?.session, `no stages offered: ${refused}`);
    return door.registerRequest({ username, password, auth: { type: "m.login.dummy", session: refused.data.session } });
}

/** One side of a comparison of emoji. */
function compared(verifier, shown) {
    verifier.on(VerifierEvent.ShowSas, (sas) => {
        shown.push(sas);
    });
    return verifier.verify();
}

/** `one` and `other` compare emoji; messages go from device to device. */
async function verify(one, other) {
    let asked;
    other.client.on(CryptoEvent.VerificationRequestReceived, (request) => {
        asked = request;
    });
    await until("the other's device is known", async () => {
        const known = await one.crypto.getUserDeviceInfo([other.user], true);
        return known.get(other.user)?.get(other.id);
    });
    const request = await one.crypto.requestDeviceVerification(other.user, other.id);
    const theirs = await until("the request arrives", () => asked);
    ensure(theirs.otherUserId === one.user, "it is of who asked");
    await theirs.accept();
    await until("it is accepted", () => request.phase === VerificationPhase.Ready);
    const shown = [[], []];
    const mine = compared(await request.startVerification("m.sas.v1"), shown[0]);
    const verifier = await until("it is begun", () => theirs.verifier);
    const their = compared(verifier, shown[1]);
    const [here, there] = await until("both are shown emoji", () => shown.every((sas) => sas.length > 0) && shown.map((sas) => sas[0]));
    ensure(JSON.stringify(here.sas.emoji) === JSON.stringify(there.sas.emoji), "both see the same");
    await Promise.all([here.confirm(), there.confirm()]);
    await Promise.all([mine, their]);
    for (const [who, whom] of [
        [one, other],
        [other, one],
    ]) {
        await until(`${who.user} has verified ${whom.user}`, async () => (await who.crypto.getUserVerificationStatus(whom.user)).isCrossSigningVerified());
    }
}

async function live() {
    const [alice, bob] = await Promise.all([Device.open("alice-e2ee", "register"), Device.open("bob-e2ee", "register")]);
    await Promise.all([alice.begin(), bob.begin()]);
    const encryption = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };
    const made = await alice.client.createRoom({ preset: "private_chat", initial_state: [encryption], invite: [bob.user] });
    const room = made.room_id;
    await until("the invitation", () => bob.client.getRoom(room));
    await bob.client.joinRoom(room);
    await until("both are there", () => alice.client.getRoom(room)?.getJoinedMemberCount() === 2);
    await until("it is known to be encrypted", async () => (await bob.crypto.isEncryptionEnabledInRoom(room)) && (await alice.crypto.isEncryptionEnabledInRoom(room)));

    await verify(alice, bob);

    const said = [];
    for (const [from, to, body] of [
        [alice, bob, "Bed 4 is free."],
        [bob, alice, "Thank you."],
        [alice, bob, "Bed 5, too."],
    ]) {
        const event = await from.says(room, body);
        await to.reads(room, event, body);
        said.push([event, body]);
    }

    // The third device: nobody gave it a key; all comes out of secret storage and backup.
    // The library remembers what it was once told of the backup, so the server is asked.
    await until("the backup has the keys", async () => (await alice.client.http.authedRequest("GET", "/room_keys/version")).count >= 2);
    const later = await Device.open("alice-e2ee", "login", alice.recovery);
    const restored = await later.recover();
    ensure(restored.imported >= 2 && restored.imported === restored.total, `restored ${JSON.stringify(restored)}`);
    for (const [event, body] of said) {
        await later.reads(room, event, body);
    }
    // Bob trusts it by its owner's signature, and it is told what follows.
    await until("bob trusts the third device", async () => {
        await bob.crypto.getUserDeviceInfo([alice.user], true);
        return (await bob.crypto.getDeviceVerificationStatus(alice.user, later.id))?.crossSigningVerified;
    });
    const both = "Visitors until six.";
    const event = await bob.says(room, both);
    await Promise.all([alice.reads(room, event, both), later.reads(room, event, both)]);

    // It is removed: its session ends, nobody encrypts for it, and it is sent nothing more.
    const before = later.client.getRoom(room).getLiveTimeline().getEvents().length;
    await alice.confirmed((auth) => alice.client.deleteMultipleDevices([later.id], auth ?? undefined));
    await until("the removed device is told", () => later.ended);
    await until("bob knows no such device", async () => !(await bob.crypto.getUserDeviceInfo([alice.user])).get(alice.user)?.has(later.id));
    const last = "Only for those who are still here.";
    await alice.reads(room, await bob.says(room, last), last);
    const seen = later.client.getRoom(room).getLiveTimeline().getEvents();
    ensure(seen.length === before && seen.every((event) => event.getContent().body !== last), "the removed device got nothing more");
    const refused = await later.client.whoami().then(
        () => "it still lets in",
        (error) => error.errcode,
    );
    ensure(refused === "M_UNKNOWN_TOKEN", `its token: ${refused}`);
    for (const device of [alice, bob, later]) {
        device.client.stopClient();
    }
}

const require = createRequire(import.meta.url);
const version = (name, tail) => JSON.parse(readFileSync(require.resolve(name).replace(tail, "package.json"), "utf8")).version;
try {
    await live();
} catch (error) {
    console.error(String(error?.stack ?? error));
    process.exit(1);
}
const crypto = version("@matrix-org/matrix-sdk-crypto-wasm", /[^/]*$/);
process.stdout.write(`matrix-js-sdk ${version("matrix-js-sdk", /lib\/index\.js$/)} with matrix-sdk-crypto-wasm ${crypto}, Node ${process.versions.node}\n`);
process.exit(0);
