// What a script that uses proxmox-api of npm does: PORT PASSWORD. Ends with an error where something is not as Proxmox has it.
import assert from "node:assert";
import { ProxmoxEngine, default as proxmoxApi } from "proxmox-api";

const [port, password] = process.argv.slice(2);
const engine = new ProxmoxEngine({ host: "127.0.0.1", port: Number(port), username: "root@pam", password });
const proxmox = proxmoxApi(engine);

const version = await proxmox.version.$get();
assert.ok(version.release && version.version, JSON.stringify(version));
const nodes = await proxmox.nodes.$get();
assert.equal(nodes[0].status, "online");
const node = proxmox.nodes.$(nodes[0].node);
assert.ok((await node.status.$get()).memory.total > 0);
assert.equal((await node.time.$get()).timezone, "UTC");
assert.ok((await proxmox.cluster.resources.$get()).length === 1);
await proxmox.access.users.$post({ userid: "bob@pve", password: "bob's long password" });
await proxmox.access.users.$("bob@pve").$put({ comment: "made by npm" });
assert.equal((await proxmox.access.users.$("bob@pve").$get()).comment, "made by npm");
const { value } = await proxmox.access.users.$("bob@pve").token.$("t1").$post({ privsep: false });
await proxmox.access.users.$("bob@pve").$delete();
await assert.rejects(proxmox.nodes.$("other").status.$get());
assert.match(value, /^[0-9a-f-]{36}$/);
