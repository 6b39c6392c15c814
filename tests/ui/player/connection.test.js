import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Connection, appUrl, backoff, socketUrl } from "../../../mgdemo/ui/player/connection.js";
import { parsePacket } from "../../../mgdemo/ui/player/decoder.js";
import { fakeSockets } from "../fake_sockets.js";

test("addresses follow the app: prefix, iframe, https", () => {
  const at = (config, page) => socketUrl(appUrl("gradio_api/live/t", config, page)).href;
  assert.equal(at({ root: "http://h:7860" }, "http://h:7860/"), "ws://h:7860/gradio_api/live/t");
  assert.equal(at({ root: "http://h/pre/fix" }, "http://h/pre/fix/?a=b#c"), "ws://h/pre/fix/gradio_api/live/t");
  assert.equal(at({ root: "http://h/pre/" }, "https://h/pre/"), "wss://h/pre/gradio_api/live/t");
  assert.equal(at(undefined, "https://h/pre/?x=/y/"), "wss://h/pre/gradio_api/live/t");
});

test("retries come slower and slower, up to a limit", () => {
  const waits = [...Array(8).keys()].map(backoff);
  assert.deepEqual(waits, [...waits].sort((a, b) => a - b));
  assert.ok(waits[0] <= 500 && waits.at(-1) <= 5000);
});

/** A stage on which sockets are opened and dropped by hand. */
function stage() {
  mock.timers.enable({ apis: ["setTimeout"] });
  const seen = [];
  const { Socket, sockets } = fakeSockets();
  let now = 0;
  const handlers = {
    onmessage: (message) => seen.push(message.type),
    onpacket: (data) => seen.push(data.byteLength),
    onlost: (long) => seen.push(long ? "lost for long" : "lost"),
    ongone: (reason) => seen.push(`gone: ${reason}`),
    onreplaced: () => seen.push("replaced"),
  };
  const connection = new Connection("ws://h/t", ["h264"], handlers, { WebSocket: Socket, now: () => now });
  const wait = (ms) => {
    now += ms;
    mock.timers.tick(ms);
  };
  return { connection, sockets, seen, wait };
}

test("hello comes first, and again on the next socket after a drop", (t) => {
  t.after(() => mock.timers.reset());
  const { connection, sockets, seen, wait } = stage();
  assert.equal(connection.send({ type: "input" }), false);
  sockets[0].accept();
  assert.deepEqual(sockets[0].sent, [{ type: "hello", version: 5, codecs: ["h264"] }]);
  sockets[0].onmessage({ data: '{"type":"welcome"}' });
  sockets[0].onmessage({ data: new ArrayBuffer(20) });
  sockets[0].onclose({ code: 1006 });
  assert.deepEqual(seen, ["welcome", 20, "lost"]);
  wait(300);
  sockets[1].accept();
  assert.equal(sockets[1].sent[0].type, "hello");
  sockets[0].onmessage({ data: '{"type":"late"}' }); // of a socket that is given up
  assert.ok(connection.send({ type: "stop" }));
  assert.deepEqual(seen, ["welcome", 20, "lost"]);
});

test("a connection that has gone silent counts as dropped", (t) => {
  t.after(() => mock.timers.reset());
  const { sockets, seen, wait } = stage();
  sockets[0].accept();
  wait(9000);
  assert.deepEqual(seen, ["lost"]);
  assert.equal(sockets[0].readyState, 3);
});

test("a handshake that hangs is given up, and tried again while the server still keeps the session", (t) => {
  t.after(() => mock.timers.reset());
  const { sockets, seen, wait } = stage();
  for (let i = 0; i < 3; i++) {
    wait(8000);
    wait(1000);
  }
  assert.deepEqual(seen, ["lost", "lost", "lost"]);
  assert.deepEqual(sockets.map(({ readyState }) => readyState), [3, 3, 3, 0]);
  sockets.at(-1).accept();
  wait(7000);
  sockets.at(-1).onmessage({ data: '{"type":"welcome"}' });
  wait(7000);
  assert.equal(seen.at(-1), "welcome");
});

test("it is tried again for as long as the page is there", (t) => {
  t.after(() => mock.timers.reset());
  const { sockets, seen, wait } = stage();
  for (let i = 0; i < 40; i++) {
    sockets.at(-1).onclose({ code: 1006 });
    wait(6000);
  }
  assert.equal(sockets.length, 41);
  assert.deepEqual([seen[0], seen[4], seen.at(-1)], ["lost", "lost", "lost for long"]);
  sockets.at(-1).accept();
  sockets.at(-1).onmessage({ data: '{"type":"end"}' });
  assert.equal(seen.at(-1), "end");
  sockets.at(-1).onclose({ code: 1006 });
  assert.equal(seen.at(-1), "lost"); // counted from then
});

test("when the server does not know the session, or another window has it, it is over", (t) => {
  t.after(() => mock.timers.reset());
  const unknown = stage();
  unknown.sockets[0].onclose({ code: 4404, reason: "This session is not known here." });
  assert.deepEqual(unknown.seen, ["gone: This session is not known here."]);
  unknown.wait(60_000);
  assert.equal(unknown.sockets.length, 1);
  mock.timers.reset();
  const taken = stage();
  taken.sockets[0].onclose({ code: 4409, reason: "It continues elsewhere." });
  taken.wait(60_000);
  assert.deepEqual([taken.seen, taken.sockets.length], [["replaced"], 1]);
});

test("closing is quiet and final", (t) => {
  t.after(() => mock.timers.reset());
  const { connection, sockets, seen, wait } = stage();
  sockets[0].accept();
  const { onclose } = sockets[0];
  connection.close();
  onclose({ code: 1000 });
  wait(60_000);
  assert.deepEqual(seen, []);
  assert.equal(sockets.length, 1);
});

test("packets are read little-endian, and too short ones refused", () => {
  const bytes = new Uint8Array([1, 1, 0, 0, 9, 1, 0, 0, 2, 0, 0, 0, 5, 1, 0, 0, 7, 8]);
  const { kind, key, index, block, node, data } = parsePacket(bytes.buffer);
  assert.deepEqual([kind, key, index, block, node, [...data]], [1, true, 265, 2, 261, [7, 8]]);
  assert.throws(() => parsePacket(new ArrayBuffer(16)), RangeError);
});
