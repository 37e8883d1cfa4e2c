"""The back end systemd: drop-ins that the manager takes without a word, and services that run, and are refused, under them."""
import json
import os
import random
import socket
import subprocess
import time

import pytest
import units
from conftest import BASE
from test_compile import need
from test_compile_oci import PROBE, SCRIPTS, said

SHIPPED = ("build", "offline", "developer", "read-only-host", "untrusted")


def drop_in_of(sg, *profiles):
    need("systemd-analyze")
    done = sg.cli("compile", *profiles, "--to", "systemd", "--approximate")
    assert done.returncode == 0, done.stderr
    return done.stdout


def verify(sg, drop_in, command="/bin/true"):
    """What `systemd-analyze verify` has to say about a unit with the drop-in."""
    sg.count += 1
    folder, _ = units.write(sg, "verified%d" % sg.count, drop_in, command)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--generators=no", os.path.join(folder, "probe.service")],
                          env=dict(os.environ, SYSTEMD_UNIT_PATH=folder + ":/usr/lib/systemd/system", SYSTEMD_LOG_LEVEL="info"),
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, [line for line in (done.stdout + done.stderr).splitlines() if "probe" in line or folder in line]


def exposure(sg, drop_in):
    """The score of `systemd-analyze security`: 10.0 is a service without any bound."""
    sg.count += 1
    folder, _ = units.write(sg, "scored%d" % sg.count, drop_in, "/bin/true")
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--json=off", os.path.join(folder, "probe.service")],
                          env=dict(os.environ, SYSTEMD_UNIT_PATH=folder + ":/usr/lib/systemd/system"), capture_output=True, text=True, timeout=60,
                          check=False)
    line = next(line for line in done.stdout.splitlines() if "Overall exposure level" in line)
    return float(line.split(": ")[1].split()[0])


@pytest.mark.parametrize("profile", SHIPPED)
def test_verified_and_scored(sg, profile):
    """Each shipped profile: not one warning, and an exposure far below the bare unit's."""
    drop_in = drop_in_of(sg, profile)
    assert verify(sg, drop_in) == (0, [])
    bare, bound = exposure(sg, None), exposure(sg, drop_in)
    assert bare > 9 and bound < 2.0, (bare, bound)


def test_verify_would_tell(sg):
    """The test above can fail: a directive that does not exist, and a name of a call, are told."""
    drop_in = drop_in_of(sg, "untrusted")
    assert verify(sg, drop_in + "NoSuchDirective=yes\n")[1] and verify(sg, drop_in + "SystemCallFilter=no_such_call\n")[1]
    assert verify(sg, drop_in + "BindPaths=relative\n")[1]


ODD = ['"', "'", "\\", " ", ":", "%", "%n", "$", "#", ";", "=", "[Service]", "-", "+", "~", "ä", "€", "a", "/", "\\n", "\\x41", ",", "`", "|", "{", "]", "\t", "\n", "\x1b", "x"]


def quote_for_glob(name):
    return "".join("\\" + c if c in '\\*?[]{}"^,$' else c for c in name)


def quote_for_toml(text):
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def test_generated_names(sg):
    """No name is anything but a name: verify has nothing to say, no line begins with it, and the words are those of the profile."""
    need("systemd-analyze")
    dice = random.Random(4711)
    held = refused = 0
    for _ in range(60 if sg.uid == 0 else 15):
        name = "/srv/" + "".join(dice.choice(ODD) for _ in range(dice.randrange(1, 12))).strip("/")
        while "//" in name:
            name = name.replace("//", "/")
        if any(part in (".", "..") for part in name.split("/")):
            continue
        glob = quote_for_glob(name)
        profile = sg.profile('[Filesystem]\nFlags = ["tmp"]\nReadOnly = [%s]\nReadWrite = [%s]\nPrivate = [%s]\nDeny = [%s]\n[Runtime]\nEnv = [%s]\n' % (
            quote_for_toml(glob + "/**"), quote_for_toml(glob + "w/**"), quote_for_toml(glob + "p/"), quote_for_toml(glob + "/denied"),
            quote_for_toml("VALUE=" + name.replace("${", "$ {"))))
        done = sg.cli("compile", profile, "--to", "systemd", "--approximate", "-q")
        if done.returncode != 0:
            assert done.stdout == "" and ("systemd cannot hold it" in done.stderr or "control" in done.stderr or "glob" in done.stderr), done.stderr
            refused += 1
            continue
        held += 1
        assert not any(c in name for c in "\n\t\x1b"), name
        body = [line for line in done.stdout.splitlines() if not line.startswith("#")]
        assert body[:2] == ["", "[Service]"] and all("=" in line and line.split("=")[0].isalnum() for line in body[2:]), body
        keys = [line.split("=")[0] for line in body[2:]]
        assert keys.count("ExecStart") == 0 and keys.count("BindPaths") == 2 and keys.count("TemporaryFileSystem") == 6, keys
        assert verify(sg, done.stdout) == (0, []), (name, done.stdout)
    assert held >= 5 and refused >= 3, (held, refused)


# --- under a manager ---


def word(text):
    """One argument of ExecStart=."""
    for one, other in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$"), ("\n", "\\n")):
        text = text.replace(one, other)
    return '"%s"' % text


def run(sg, drop_in, arguments, cwd="/"):
    return units.run(sg, drop_in, " ".join(word(argument) for argument in arguments), "WorkingDirectory=%s\n" % cwd)


# A manager of one's own needs root; the drop-in is the same whoever writes it.
as_root = pytest.mark.parametrize("sg", ["root"], indirect=True)


@as_root
def test_build(sg):
    """The shipped profile "build" under systemd: what it gives works, and each probe is refused."""
    other = sg.write("other", "another's\n", folder=sg.work)
    sg.write("probe.py", PROBE)
    drop_in = drop_in_of(sg, "build")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        text, log = run(sg, drop_in, ["/usr/bin/python3", sg.cwd + "/probe.py", sg.cwd, other, str(server.getsockname()[1])])
    out = said(text)
    assert out["shadow"] == "EACCES" and out["other"] == "ENOENT", text + log
    assert not {"home", "work", "mnt", "boot"} & set(out["root"].split()), out
    for name in ("write usr", "write etc", "write root"):
        assert out[name] == "EROFS", out
    assert out["write work"] == "written" and out["write tmp"] == "written" and out["run tmp"] == "0", out
    assert out["run shm"] == "EACCES" and out["symbols"] in ("b''", "EACCES") and out["sysctl"] in ("EROFS", "EACCES"), out
    assert out["suid"] == "False" and out["privileges"] == "1", out
    assert out["connect"] in ("EPERM", "EAFNOSUPPORT", "ENETUNREACH") and out["host loopback"] != "connected", out
    assert {int(field, 16) for field in out["capabilities"].split()} == {0}, out
    assert "SECRET" not in out["environment"]


@as_root
def test_names(sg):
    """The folder that a name stands for is bound, and no other; what follows a path in systemd's words is part of a name here."""
    folder = os.path.join(sg.home, 'a:ro b"c\\d%n $x\'')
    private = os.path.join(sg.home, 'p:mode=0 "q"\\%h')
    os.mkdir(folder)
    sg.write("file", "inside\n", folder=folder)
    sg.write("neighbour", "outside\n", folder=sg.home)
    drop_in = drop_in_of(sg, sg.profile(BASE.replace("[Runtime]", "ReadWrite = [%s]\nPrivate = [%s]\n[Runtime]" % (
        quote_for_toml(quote_for_glob(folder) + "/**"), quote_for_toml(quote_for_glob(private) + "/")))))
    assert verify(sg, drop_in) == (0, [])
    probe = ("import os, sys; f, p = sys.argv[1:]; print(open(f + '/file').read().strip(), sorted(os.listdir(os.path.dirname(f))) =="
             " sorted([os.path.basename(f), os.path.basename(p)])); open(f + '/new', 'w').write('x'); open(p + '/new', 'w').write('x')")
    text, log = run(sg, drop_in, ["/usr/bin/python3", "-c", probe, folder, private])
    assert text == "inside True\n", text + log
    assert os.path.exists(os.path.join(folder, "new")) and not os.path.exists(private)


SYSTEM_CALLS = r"""
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *[ctypes.c_ulong(a & (1 << 64) - 1) for a in arguments])
    print(name, "=", "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()])
call("getpid", 39)
call("netlink", 41, 16, 3, 0)
call("inet", 41, 2, 1, 0)
call("unshare", 272, 0x10000000)
call("clone user", 56, 0x10000011)
call("mount", 165, 0, 0, 0, 0, 0)
call("ptrace", 101, 0, 0, 0, 0)
call("keyctl", 250, 0, 0, 0, 0, 0)
call("bpf", 321, 0, 0, 0)
call("io_uring", 425, 0, 0)
call("write and execute", 9, 0, 4096, 7, 0x22, -1, 0)
call("personality", 135, 0x0040000)
call("clone3", 435, 0, 0)
call("thread area", 205, 0)
"""


@as_root
def test_system_calls(sg):
    """What the profile does not give is refused, what systemd adds by itself too; clone3 answers what the C library needs."""
    text, log = run(sg, drop_in_of(sg, "untrusted"), ["/usr/bin/python3", "-c", SYSTEM_CALLS])
    out = said(text)
    assert out.pop("getpid") == "ok" and out.pop("clone3") == "ENOSYS", text + log
    assert set(out.values()) <= {"EPERM", "EAFNOSUPPORT", "EACCES"}, out


RUNS = [("build", "gcc"), ("build", "git"), ("build", "node"), ("developer", "git"), ("developer", "python3"), ("read-only-host", "bash"),
        ("untrusted", "python3"), ("untrusted", "git")]


@as_root
@pytest.mark.parametrize("profile, program", RUNS)
def test_programs(sg, profile, program):
    """Real programs run as services under the drop-in of shipped profiles."""
    need(program)
    writable = sg.cwd if profile in ("build", "developer") else "/tmp"
    text, log = run(sg, drop_in_of(sg, profile), ["/bin/bash", "-c", SCRIPTS[program]], writable)
    assert text.strip() == "fine", text + log


@as_root
def test_loopback(sg):
    """A unit without addresses outside has a loopback of its own; one with addresses does not reach the host's."""
    need("curl")
    own = drop_in_of(sg, sg.profile(BASE + '[Networking]\nFlags = ["loopback"]\n'))
    text, log = run(sg, own, ["/bin/bash", "-c", SCRIPTS["curl"]], "/tmp")
    assert text.strip() == "fine", text + log
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        script = "curl -sS --max-time 5 http://127.0.0.1:%d/ 2>&1; echo status $?" % server.getsockname()[1]
        text, log = run(sg, drop_in_of(sg, "developer"), ["/bin/bash", "-c", script])
        assert "status 7" in text or "status 28" in text, text + log


@as_root
def test_what_the_unit_had_is_gone(sg):
    """Lists of the unit itself add nothing: neither files, nor variables, nor system calls."""
    more = ("BindPaths=/:/host\nReadWritePaths=/usr\nEnvironment=SECRET=1\nSystemCallFilter=mount ptrace\nAmbientCapabilities=CAP_SYS_ADMIN\n"
            "IPAddressAllow=any\nExecPaths=/etc\n")
    script = "ls /host; echo $SECRET.; grep CapEff /proc/self/status; touch /usr/x; strace -f true 2>/dev/null; true"
    text, log = units.run(sg, drop_in_of(sg, "untrusted"), "/bin/sh -c " + word("exec 2>&1; " + script), more)
    assert "'/host'" in text and "\n.\n" in text and "CapEff:\t0000000000000000" in text and "Read-only file system" in text, text + log


@as_root
def test_what_the_unit_shared_is_gone(sg):
    """Nor do other settings of the unit: another's network, a /tmp of the host's that has code, other architectures, mounts to come."""
    need("gcc")
    source = sg.write("old.c", '''#include <stdio.h>
int main(void) { int r; __asm__ volatile("int $0x80" : "=a"(r) : "0"(20)); printf("int 0x80 = %d\\n", r > 0); return 0; }''', folder=sg.home)
    program = os.path.join(sg.home, "old")
    subprocess.run(["gcc", "-o", program, source], check=True)
    profile = sg.profile(BASE.replace("Exec = [", 'Exec = ["%s", ' % program))
    more = ("NetworkNamespacePath=/proc/1/ns/net\nIPCNamespacePath=/proc/1/ns/ipc\nPrivateTmp=yes\nSystemCallArchitectures=x86\n"
            "MountFlags=shared\n")
    script = "exec 2>&1; grep -c master: /proc/self/mountinfo; grep ' /tmp ' /proc/self/mountinfo; %s; true"
    drop_in = drop_in_of(sg, profile)
    text, log = units.run(sg, drop_in, "/bin/sh -c " + word(script % program), more)
    lines = text.splitlines()
    assert len(lines) > 1 and lines[0] == "0" and "noexec" in lines[1], text + log
    assert "systemd-private" not in text and "shared:" not in text and "int 0x80 = 1" not in text, text + log
    for key in ("NetworkNamespacePath", "IPCNamespacePath", "SystemCallArchitectures"):
        assert drop_in.splitlines().count(key + "=") == 1, key


@as_root
def test_a_unit_that_is_none(sg):
    """A unit that the manager does not load ends it, and nothing of the host is started in its place."""
    begin = time.monotonic()
    with pytest.raises(AssertionError, match="printed nothing"):
        units.run(sg, None, '"/"')
    assert time.monotonic() - begin < 60


def test_addresses(sg):
    """Addresses as the filters of a unit know them, and what they do not know."""
    drop_in = drop_in_of(sg, sg.profile(BASE + """
[Networking]
Flags = ["outgoing", "incoming"]
Allow = ["tcp:10.1.2.0/24:5432", "tcp:[2001:db8::1]:443", "tcp:127.0.0.1:80", "tcp:example.org:443"]
Deny = ["*:192.0.2.7:*"]
Listen = ["tcp:127.0.0.1:8000-8999"]
"""))
    lines = drop_in.splitlines()
    for line in ("IPAddressAllow=10.1.2.0/24", "IPAddressAllow=2001:db8::1/128", "IPAddressAllow=127.0.0.1/32", "IPAddressDeny=localhost link-local multicast",
                 "IPAddressDeny=192.0.2.7/32", "SocketBindAllow=tcp:8000-8999", "SocketBindAllow=1024-65535", "SocketBindDeny=any", "PrivateNetwork=no"):
        assert line in lines, line
    assert "example.org" not in "\n".join(line for line in lines if not line.startswith("#"))
    assert verify(sg, drop_in) == (0, [])
    names = drop_in_of(sg, "developer").splitlines()
    assert "IPAddressAllow=127.0.0.53 127.0.0.54" in names and "IPAddressAllow=127.0.0.53 127.0.0.54" not in lines
    incoming = drop_in_of(sg, sg.profile(BASE + '[Networking]\nFlags = ["incoming"]\n')).splitlines()
    assert "PrivateNetwork=no" in incoming and "IPAddressDeny=any" in incoming and "SocketBindAllow=1024-65535" in incoming
    closed = drop_in_of(sg, sg.profile(BASE + '[Networking]\nFlags = ["loopback"]\nAllow = ["tcp:192.0.2.1:443"]\n')).splitlines()
    assert "IPAddressDeny=any" in closed and "IPAddressAllow=192.0.2.1/32" in closed
