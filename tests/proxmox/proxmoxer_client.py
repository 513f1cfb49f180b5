"""What a script that uses proxmoxer does: PORT PASSWORD. Ends with a traceback where something is not as Proxmox has it."""

import sys

import proxmoxer
from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException

port, password = int(sys.argv[1]), sys.argv[2]
host = {"host": "127.0.0.1", "port": port, "verify_ssl": False, "timeout": 20}


def fails(status, call):
    try:
        call()
    except ResourceException as error:
        assert error.status_code == status, error
        return error
    raise AssertionError(f"{status} was expected")


proxmox = ProxmoxAPI(user="root@pam", password=password, **host)
version = proxmox.version.get()
assert version["product"] == "weir" and version["version"], version
nodes = proxmox.nodes.get()
assert [node["status"] for node in nodes] == ["online"], nodes
node = nodes[0]["node"]
status = proxmox.nodes(node).status.get()
assert status["memory"]["total"] > 0 and status["uptime"] > 0, status
assert proxmox.nodes(node).time.get()["timezone"] == "UTC"
assert proxmox.nodes.get(node) and proxmox.cluster.status.get()[0]["local"] == 1
assert isinstance(proxmox.flows.sessions.get(sample_count=5), list)
assert isinstance(proxmox.flows.table.get(group_by="IP", rows=5, relative_time="1h"), list)

# Faults: the status, and each parameter's.
error = fails(400, lambda: proxmox.flows.table.get(rows="x", bogus=1))
assert error.errors["rows"] == "type check ('integer') failed - got 'x'", error.errors
assert "bogus" in error.errors, error.errors
fails(501, lambda: proxmox.nothing.get())

# Users, roles, rights and tokens, with the ticket and its CSRF token.
proxmox.access.users.post(userid="alice@pve", password="alice's long password", comment="made by proxmoxer")
assert any(user["userid"].startswith("alice@") for user in proxmox.access.users.get())
proxmox.access.users("alice@pve").put(comment="changed")
assert proxmox.access.users("alice@pve").get()["comment"] == "changed"
proxmox.access.roles.post(roleid="Readers", privs="Flows.Read")
assert any(role["roleid"] == "Readers" for role in proxmox.access.roles.get())
proxmox.access.acl.put(path="/flows", users="alice@pve", roles="Readers")
assert any(entry["ugid"].startswith("alice@") for entry in proxmox.access.acl.get())
secret = proxmox.access.users("alice@pve").token("script").post(privsep=0)["value"]

# The token, without a login.
alice = ProxmoxAPI(user="alice@pve", token_name="script", token_value=secret, **host)
assert isinstance(alice.flows.sessions.count.get(), int)
error = fails(403, lambda: alice.info.get())
assert "Permission check failed" in str(error), error
fails(403, lambda: alice.access.users.post(userid="eve@pve"))

# The user, with her password; then she is gone.
ProxmoxAPI(user="alice@pve", password="alice's long password", **host).version.get()
proxmox.access.acl.put(path="/flows", users="alice@pve", roles="Readers", delete=1)
proxmox.access.users("alice@pve").token("script").delete()
proxmox.access.users("alice@pve").delete()
proxmox.access.roles("Readers").delete()
fails(401, lambda: alice.version.get())
try:
    ProxmoxAPI(user="alice@pve", password="alice's long password", **host)
except proxmoxer.AuthenticationError:
    pass
else:
    raise AssertionError("alice is gone")
