// A WebSocket client for the tests: reads steps as JSON from its first argument, prints what came of them as JSON.
//   {"send": TEXT|OBJECT}  {"until": {"id": .., "type": ..}}  {"ping": true}  {"wait": MS}  {"binary": true}  {"get": URL}  {"fill": OCTETS}
// Pings of the server come out as seconds since the socket was opened.
// Options in the second argument: {url, headers}.
import https from "node:https";
import { createRequire } from "node:module";
const require = createRequire(process.argv[2] + "/");
const WebSocket = require("ws");
const steps = JSON.parse(process.argv[3]);
const { url, headers } = JSON.parse(process.argv[4]);
const out = { messages: [], pings: [], pongs: 0, closed: null, refused: null, got: [] };
const socket = new WebSocket(url, { rejectUnauthorized: false, headers, perMessageDeflate: false });
let wake = () => {};
const next = (ms) => new Promise((done) => { wake = done; setTimeout(done, ms); });
socket.on("message", (data) => { out.messages.push(JSON.parse(data.toString())); wake(); });
let opened = 0;
socket.on("ping", () => { out.pings.push((Date.now() - opened) / 1000); });
socket.on("pong", () => { out.pongs++; wake(); });
socket.on("close", (code, reason) => { out.closed = { code, reason: reason.toString() }; wake(); });
socket.on("unexpected-response", (_, answer) => { out.refused = answer.statusCode; finish(); });
socket.on("error", () => {});
const finish = () => process.stdout.write(JSON.stringify(out) + "\n", () => process.exit(0));
const has = (wanted) => out.messages.some((m) => Object.entries(wanted).every(([k, v]) => m[k] === v));
const get = (url) => new Promise((done) => https.get(url, { rejectUnauthorized: false }, (answer) => {
  let body = ""; answer.on("data", (d) => (body += d)); answer.on("end", () => done(body));
}));
socket.on("open", async () => {
  opened = Date.now();
  for (const step of steps) {
    const end = Date.now() + 10000;
    if ("send" in step) socket.send(typeof step.send === "string" ? step.send : JSON.stringify(step.send));
    if ("fill" in step) socket.send(JSON.stringify({ id: "fill", call: "echo", args: { x: "x".repeat(step.fill) } }));
    if ("binary" in step) socket.send(Buffer.from([1, 2, 3]));
    if ("ping" in step) { socket.ping("x"); while (!out.pongs && Date.now() < end) await next(100); }
    if ("until" in step) while (!has(step.until) && !out.closed && Date.now() < end) await next(100);
    if ("closed" in step) while (!out.closed && Date.now() < end) await next(100);
    if ("wait" in step) await new Promise((done) => setTimeout(done, step.wait));
    if ("get" in step) out.got.push(await get(step.get));
  }
  finish();
});
