"""A denied flag takes what is its own: programs run on, and what is refused is said by its request."""
import os

import pytest

from conftest import BASE

# The flags of "developer" that these programs could miss.
EVERYDAY = BASE.replace('Flags = ["tmp"]', 'Flags = ["tmp", "tty", "attributes", "links", "locks", "devices"]').replace(
    '"timers"]', '"timers", "ipc", "shared-memory", "scheduling", "watch", "jit"]')

# What a shell and a Python do with descriptors, pipes, jobs and files: all of it goes through fcntl somewhere.
SHELL = 'x=$(echo a | tr a b); exec 5>&1; { echo "$x" >&5; } 2>/dev/null; (sleep 0 & wait); while read -r l; do echo "$l"; done <<< here'
PYTHON = """
import os, subprocess, tempfile, threading
r, w = os.pipe(); os.set_inheritable(r, True); os.set_blocking(w, False); os.dup2(r, 60)
print(subprocess.run(["/usr/bin/tr", "a", "b"], input=b"a", capture_output=True).stdout)
threading.Thread(target=lambda: print("thread")).start()
with tempfile.NamedTemporaryFile(dir="/tmp") as f: f.write(b"x")
import socket, select; a, b = socket.socketpair(); a.send(b"y"); print(select.select([b], [], [])[0] == [b])
"""
CALLS = {"watch": ("fcntl.fcntl(d, fcntl.F_NOTIFY, fcntl.DN_CREATE)", "F_NOTIFY"),
         "locks": ("fcntl.lockf(f, fcntl.LOCK_EX)", "F_SETLKW"),
         "shared-memory": ("fcntl.fcntl(f, 1033, 0)", "F_ADD_SEALS")}
ASK = "import fcntl, os\nd = os.open('/tmp', os.O_RDONLY); f = open('/tmp/f', 'w')\n%s\n"


@pytest.mark.parametrize("flag", CALLS)
def test_programs_run_beside_a_denied_flag(sg, flag):
    section = "Filesystem" if flag == "locks" else "Runtime"
    denied = EVERYDAY.replace("[%s]\n" % section, '[%s]\nDenyFlags = ["%s"]\n' % (section, flag))
    for command in (("/usr/bin/bash", "-c", SHELL), ("/usr/bin/python3", "-c", PYTHON)):
        plain, done = sg.run(EVERYDAY, *command), sg.run(denied, *command)
        assert (plain.status, plain.refusals()) == (0, [])
        assert (done.status, done.stdout, done.stderr) == (0, plain.stdout, plain.stderr), done.stderr
        assert done.refusals() == []


@pytest.mark.parametrize("flag", CALLS)
def test_a_denied_request_is_refused_by_name(sg, flag):
    section = "Filesystem" if flag == "locks" else "Runtime"
    denied = EVERYDAY.replace("[%s]\n" % section, '[%s]\nDenyFlags = ["%s"]\n' % (section, flag))
    for other, (call, request) in CALLS.items():
        done = sg.run(denied, "/usr/bin/python3", "-c", ASK % call)
        if other != flag:  # the neighbours: allowed, or not what this file can do
            assert done.refusals() == [], done.refusals()
            continue
        refusal = done.refusals("fcntl")[0]
        lines = sg.on_terminal(denied, "/usr/bin/python3", "-c", ASK % call)[1]
        assert done.status != 0 and "Operation not permitted" in done.stderr
        assert refusal["named"] == request and refusal["error"] == "EPERM" and refusal["rule"]["key"] == "DenyFlags"
        line = [l for l in lines if l.startswith("shellguard: ")]
        assert len(line) == 1 and "may not call fcntl (%s): " % request in line[0], lines
        assert 'DenyFlags refuses the flag "%s"' % flag in line[0] and ".toml:" in line[0]


def test_a_denied_folder_is_denied_with_what_is_in_it(sg):
    """DenyFlags = ["tmp"]: neither the host's files there, which another rule grants, nor new ones in a folder of the world's own."""
    mine, text = sg.write("mine", "theirs\n"), 'echo new > "$1"; cat "$2"; echo made > /tmp/made; cat /tmp/made; true'
    for flags in ('DenyFlags = ["tmp"]', 'Flags = ["tmp"]\nDenyFlags = ["tmp"]'):
        denied = BASE.replace('Flags = ["tmp"]', flags + '\nReadWrite = ["%s/**"]' % sg.cwd)
        done = sg.shell(denied, text.replace("$1", sg.cwd + "/new").replace("$2", mine))
        assert done.status == 0 and done.stdout == "", (done.stdout, done.stderr)
        assert not (set(os.listdir(sg.cwd)) & {"new"})
