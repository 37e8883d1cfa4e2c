"""Ways round other sandboxes that need no program of their own: docs/escapes.md names the row of each."""
import json
import os
import re
import select
import signal
import subprocess
import time
import tomllib

import pytest

from live_conftest import BASE, LONGER, ROOT, cannot
from test_escape import SECRET, all_below, await_end_of, opening_world, programs, reading_profiles, tree  # noqa: F401

# Sockets of what would act for whoever asks (systemd, D-Bus, container engines, cron's and at's spools are files).
SERVICES = ["/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/notify", "/run/systemd/journal/socket",
            "/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/snapd.socket",
            "/run/libvirt/libvirt-sock", "/run/acpid.socket", "/run/user/{uid}/bus", "/run/user/{uid}/systemd/private",
            "/run/user/{uid}/podman/podman.sock", "/run/user/{uid}/gnupg/S.gpg-agent", "/run/user/{uid}/keyring/ssh", "/tmp/.X11-unix/X0",
            "/tmp/ssh-agent/agent.1"]
# Listens at all of them in mount and user namespaces of the test's own, and runs the command there.
LISTEN = """
import os, socket, subprocess, sys
paths = sys.argv[1].split(":")
for folder in ("/run", "/tmp"):
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
heard = []
for path in paths:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    for kind in (socket.SOCK_STREAM,):
        s = socket.socket(socket.AF_UNIX, kind)
        try:
            s.bind(path)
        except OSError:
            continue  # /var/run is a link to /run: the same socket
        s.listen(50); s.setblocking(False); os.chmod(path, 0o777)
        heard.append((path, s))
done = subprocess.run(sys.argv[2:])
for path, s in heard:
    try:
        s.accept(); print("HEARD", path)
    except BlockingIOError:
        pass
print("listened at", len(heard)); sys.exit(done.returncode)
"""
ASK = """
import socket, sys
for path in sys.argv[1].split(":"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        try:
            s = socket.socket(socket.AF_UNIX, kind); s.settimeout(5); s.connect(path); print("reached", path)
        except OSError as error:
            pass
print("asked")
"""


@pytest.mark.parametrize("profile", ["developer", "offline", "build", "untrusted", "read-only-host"])
def test_no_service_of_the_host_is_asked(tree, profile):
    """Row 14: with every shipped profile, nobody who would act for the world hears of it."""
    sg = tree.sg
    paths = ":".join(SERVICES).replace("{uid}", str(sg.uid))
    options = ["--flag", "unix"] if profile == "untrusted" else []
    extra = sg.profile(BASE if profile in ("untrusted", "offline", "build") else "\nName = \"none\"\n")
    command = [sg.program, "run", "--quiet", "--record", os.path.join(sg.work, "log.jsonl"), "-p", profile, "-p", extra] + options + [
        "--env", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/%d/bus" % sg.uid, "--", "/usr/bin/python3", "-c", ASK, paths]
    done = subprocess.run(sg.command(["unshare", "-Urm", "/usr/bin/python3", "-c", LISTEN, paths] + command), env=sg.environment(),
                          cwd=sg.cwd, capture_output=True, text=True, timeout=60)
    assert "asked" in done.stdout and done.returncode == 0, (done.stdout, done.stderr)
    assert re.search(r"listened at 1[0-9]", done.stdout), done.stdout
    assert "HEARD" not in done.stdout and "reached" not in done.stdout, done.stdout


def test_what_nobody_vouches_for_executes_nothing_that_it_wrote(tree):
    """The shipped profile "untrusted" is without "jit", and says what that means."""
    sg = tree.sg
    extra = sg.profile('[Filesystem]\nExec = ["%s/*"]\n' % tree.programs)
    command = [sg.program, "run", "--quiet", "--record", os.path.join(sg.work, "log.jsonl"), "-p", "untrusted", "-p", extra, "--",
               os.path.join(tree.programs, "escape_calls"), "written-code"]
    done = subprocess.run(sg.command(command), env=sg.environment(), cwd=sg.cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count("refused ") == 3 and "works file" in done.stdout, (done.stdout, done.stderr)


EMPTY = """
[Networking]
Flags = []
Allow = []
Listen = []
[Filesystem]
Flags = []
ReadOnly = []
ReadWrite = []
LogOnRead = []
[Misc]
Flags = []
"""


def test_an_empty_list_is_nothing(tree):
    """Row 20: lists that are there and empty allow nothing; with Exec the program alone starts."""
    static = os.path.join(tree.programs, "escape_network")
    profile = EMPTY.replace("LogOnRead = []", 'LogOnRead = []\nExec = ["%s"]' % static) + '[Runtime]\nFlags = ["start"]\nEnv = []\n'
    server = subprocess.Popen(["/usr/bin/python3", "-c", "import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(5)\n"
                               "print(s.getsockname()[1], flush=True)\ns.settimeout(30)\ntry:\n s.accept(); print('heard')\n"
                               "except TimeoutError: pass\n"], stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip()
        done = tree.sg.run(profile, static, "inet", port)
        assert "escaped" not in done.stdout and "refused 127.0.0.1-connect" in done.stdout, (done.stdout, done.stderr)
        assert select.select([server.stdout], [], [], 0)[0] == []
        for section in ("Networking", "Filesystem", "Runtime"):
            assert tree.sg.run("\n[%s]\nFlags = []\n" % section, "/usr/bin/true").status == 125
        done = tree.sg.run(profile, "/usr/bin/true")
        assert done.status in (126, 127) and not done.of("exec")
    finally:
        server.kill()
        server.wait()


def world_group(pid):
    """The cgroup2 folder of a process of the world, if it has one that can be frozen."""
    with open("/proc/%d/cgroup" % pid, encoding="ascii") as file:
        path = [line.split("::", 1)[1].strip() for line in file if line.startswith("0::")]
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        folder = root + path[0] if path else ""
        if path and "/shellguard-" in folder and os.access(os.path.join(folder, "cgroup.freeze"), os.W_OK):
            return os.path.join(folder, "cgroup.freeze")
    return None


def test_a_world_that_is_frozen_goes_on(tree):
    """Row 30: stopped, or frozen where it has a group, in the midst of calls; nothing is lost and nothing hangs."""
    profile, folder, _ = reading_profiles(tree)["writable"]
    script = "echo up; i=0; while [ $i -lt 600 ]; do echo $i > %s/made || exit 9; i=$((i+1)); done; cat %s/made" % (folder, folder)
    process, log = tree.sg.start(profile, "/bin/sh", "-c", script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    command = [p for p in all_below(process.pid) if open("/proc/%d/comm" % p).read() == "sh\n"][0]
    freeze = world_group(command)
    for _ in range(12):
        if freeze:
            with open(freeze, "w") as file:
                file.write("1")
        else:
            os.kill(command, signal.SIGSTOP)
        select.select([], [], [], 0.01)
        if freeze:
            with open(freeze, "w") as file:
                file.write("0")
        else:
            os.kill(command, signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == (b"599\n", 0), (out, err)


def test_shell_ways_round_a_list_of_commands(tree):
    """Row 37: whatever the shell's syntax, a program is executed by the kernel, decided and recorded."""
    ways = ["env true & wait", "cat <(env true)", "eval 'env true'", "f() { env true; }; f", "$(echo env) true", "true; env true",
            "true && env true", "bash -c 'env true'", "env() { command env true; }; env", "exec env true", "echo env true | sh",
            "xargs -a <(echo true) env", "e=env; $e true", "/usr/bin/../bin/env true", "trap 'env true' EXIT", "coproc env true; wait",
            "alias x='env true'; shopt -s expand_aliases; eval x"]
    profile = tree.profile().replace("[Runtime]", "DenyExec = [\"/usr/bin/env\"]\n[Runtime]", 1)
    for way in ways:
        done = tree.sg.run(profile, "/bin/bash", "-c", way)
        assert not any(r["process"]["program"] == "/usr/bin/env" for r in done.of("exec")), way
        assert done.refusals("/usr/bin/env"), (way, done.stdout, done.stderr)


NETWORK_VIEW = """
import glob, os, socket, struct
for path in glob.glob("/proc/net/*") + glob.glob("/proc/self/net/*") + glob.glob("/sys/class/net/*") + glob.glob("/proc/[0-9]*/net/*"):
    try: print("file", path, len(open(path, "rb").read()))
    except OSError: pass
try: print("names", [n for _, n in socket.if_nameindex()])
except OSError as error: print("names", error.strerror)
try:
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    for kind in (18, 22, 26, 30):
        s.send(struct.pack("=IHHIIB3x", 20, kind, 0x301, 1, 0, 0)); print("route", kind, s.recv(65536))
except OSError as error: print("netlink", error.strerror)
"""


@pytest.mark.parametrize("flags", ["", "dns", "netlink"])
def test_the_network_of_the_host_is_not_seen(tree, flags):
    """Row 39: by netlink and /proc/net there is one's own loopback, and no name or address of the host's."""
    with open("/proc/net/dev", encoding="ascii") as file:
        interfaces = [line.split(":")[0].strip() for line in file if ":" in line]
    profile = ('[Networking]\nFlags = ["%s"]\n' % flags if flags else "") + tree.profile()
    done = tree.sg.run(profile, "/usr/bin/python3", "-c", NETWORK_VIEW)
    assert done.status == 0 and "names" in done.stdout, done.stderr
    for name in interfaces:
        if name != "lo":
            assert name not in done.stdout, (name, done.stdout)
    assert ("\nroute " in done.stdout) == (flags == "netlink"), (flags, done.stdout, done.stderr)
    # In binary too: no address of the host's.
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    for address in addresses:
        if "." in address:
            text = "".join("\\x%02x" % int(n) for n in address.split("."))
            assert repr(bytes(int(n) for n in address.split(".")))[2:-1] not in done.stdout and text not in done.stdout, address


def test_a_rule_is_not_smuggled_into_a_profile(tree):
    """Row 45: a name with a quote, a line break and a rule in it stays one name on its way through options, explain and why."""
    sg = tree.sg
    evil = 'x"]\nReadWrite = ["/**"]\nDeny = ["y'
    folder = os.path.join(sg.work, evil.replace("/", "%"))
    os.mkdir(folder)
    tree.own(folder)
    sg.write("f", SECRET, folder=folder)
    toml = sg.cli("explain", "--toml", "--ro", folder + "/f")
    assert toml.returncode == 0
    assert tomllib.loads(toml.stdout) == {"Extends": ["developer"], "Filesystem": {"ReadOnly": [folder + "/f"]}}
    profile = tree.profile().replace('"/usr/**"', '"/usr/**", "%s/*"' % sg.work.replace("\\", ""), 1)
    done = sg.run(profile, "/bin/sh", "-c", 'echo more > "$0"/f', folder)
    assert done.status != 0
    why = sg.cli("why", "--session", done.log)
    assert "\nReadWrite = [\"/**\"]" not in why.stdout and "\nDeny = [\"y" not in why.stdout, why.stdout


@pytest.mark.parametrize("place,target", [("/proc", "/proc/sys/kernel/core_pattern"), ("/proc", "/proc/sysrq-trigger"), ("/proc", "/proc/self/uid_map"),
                                          ("/proc", "/proc/self/mem"), ("/sys", "/sys/kernel/uevent_helper"), ("/sys", "/sys/kernel/profiling"),
                                          ("/dev", "/dev/kmsg"), ("/dev", "/dev/mem")])
def test_kernel_interfaces_are_not_written(tree, place, target):
    """Row 46: even where a profile grants /proc, /sys or /dev to be written, no kernel interface of the host's is."""
    before = open(target, "rb").read(200) if os.path.exists(target) and "core_pattern" in target else b""
    done = tree.sg.shell(tree.profile('ReadWrite = ["%s/**"]' % place), "echo x > %s && echo WRITTEN; echo end" % target)
    assert "WRITTEN" not in done.stdout and (done.stdout == "end\n" or done.status == 125), (done.stdout, done.stderr)
    if before:
        assert open(target, "rb").read(200) == before


# --- a death at every moment ---

@pytest.mark.parametrize("victim", ["sg-supervisor", "sg-keeper", "sg-auditor", "sg-init", "front"])
def test_killed_at_any_moment(tree, victim):
    """One of ours is killed after 0 to 60 ms of a session's life, from its start on: nothing escapes, nothing is left running."""
    profile, folder, _ = reading_profiles(tree)["writable"]
    path = tree.sg.profile(profile)
    for i in range(16 * LONGER):
        log = os.path.join(tree.sg.work, "kill-%s-%d.jsonl" % (victim, i))
        process = subprocess.Popen(tree.sg.command([tree.sg.program, "run", "--quiet", "--record", log, "-p", path, "--", "/bin/sh", "-c",
                                                    "setsid sleep 70 & while :; do echo x > %s/made; cat %s/secret.key; done"
                                                    % (folder, folder)]), env=tree.sg.environment(), cwd=tree.sg.cwd,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wanted = time.monotonic() + i * 0.004 / LONGER
        deadline, seen = time.monotonic() + 20, set()
        while True:
            seen |= set(all_below(process.pid))
            names = {}
            for pid in seen:
                try:
                    names[open("/proc/%d/comm" % pid).read().strip()] = pid
                except OSError:
                    pass
            target = process.pid if victim == "front" else names.get(victim)
            if target is not None and time.monotonic() >= wanted:
                break
            assert time.monotonic() < deadline and process.poll() is None, (victim, names)
        os.kill(target, signal.SIGKILL)
        killed = time.monotonic()
        if victim == "sg-auditor":  # granting has stopped; the session goes on refused until it is ended
            seen |= set(all_below(process.pid))
            process.terminate()
        out, err = process.communicate(timeout=40)
        assert SECRET.encode() not in out and process.returncode != 0, (out[-500:], err)
        assert await_end_of(seen) and time.monotonic() - killed < 15, (victim, i, err)


@pytest.mark.parametrize("victim", ["sg-supervisor", "sg-keeper", "sg-auditor"])
def test_limits_taken_away(tree, victim):
    """Who may set limits of ours takes them all at once: the session goes on or ends, it neither hangs nor passes anything."""
    profile = tree.profile('ReadWrite = ["%s/**"]\nDeny = ["%s/*.key"]\nLogOnRead = ["%s/**"]' % (tree.rw, tree.rw, tree.rw))
    script = ("i=0; while [ $i -lt 40 ]; do i=$((i+1)); read line <open.txt; read line <secret.key && echo $line; /bin/true; "
              "done 2>/dev/null; echo end")
    for limit in ("nofile=3", "nofile=40", "as=1000000", "data=4096", "fsize=100", "nproc=1"):
        process, _ = tree.sg.start(profile, "/bin/sh", "-c", "echo ready; read go; " + script, cwd=tree.rw, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        below = all_below(process.pid)
        target = next(pid for pid in below if comm_of(pid) == victim)
        subprocess.run(["/usr/bin/prlimit", "--pid", str(target), "--" + limit], capture_output=True)  # EPERM: as it should be
        out, err = process.communicate(b"go\n", timeout=60)
        assert out in (b"", b"end\n"), (limit, out, err)
        assert process.returncode != 0 or out == b"end\n", (limit, process.returncode, out, err)
        assert process.returncode == 0 or err or process.returncode > 128, (limit, process.returncode, out)
        assert await_end_of(below), limit


def caught_before_the_seal(tree, path):
    """A session whose first process is stopped while its command, executed and traced, waits for it; or None. (front end, first, all)"""
    process = subprocess.Popen(tree.sg.command([tree.sg.program, "run", "--quiet", "-p", path, "--", "/bin/echo", "escaped"]),
                               env=tree.sg.environment(), cwd=tree.sg.cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    first, deadline = None, time.monotonic() + 20
    while first is None and process.poll() is None and time.monotonic() < deadline:
        first = next((pid for pid in all_below(process.pid) if comm_of(pid) == "sg-init" and all_below(pid)), None)
    if first is None:
        process.communicate(timeout=40)
        return None
    os.kill(first, signal.SIGSTOP)
    deadline, since = time.monotonic() + 0.5, None
    while process.poll() is None and time.monotonic() < deadline:
        held = any(is_held(pid) for pid in all_below(first))
        since = (since or time.monotonic()) if held else None
        if since and time.monotonic() > since + 0.1:  # a first process that had sealed itself would have let it go by now
            return process, first, all_below(process.pid)
        select.select([], [], [], 0.01)
    if process.poll() is None:
        os.kill(first, signal.SIGKILL)
    process.communicate(timeout=40)
    return None


def comm_of(pid):
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def is_held(pid):
    """The program is in place, and its tracer has not let it go."""
    try:
        with open("/proc/%d/status" % pid, encoding="ascii") as file:
            status = file.read()
    except OSError:
        return False
    return re.search(r"^State:\tt ", status, re.M) is not None and not re.search(r"^TracerPid:\t0$", status, re.M)


def test_a_first_process_that_dies_before_it_is_sealed(tree):
    """The command waits for it in its first execution, and it in the kernel for the command, which only the supervisor can reap."""
    path = tree.sg.profile(reading_profiles(tree)["writable"][0])
    caught = None
    for _ in range(60):
        caught = caught_before_the_seal(tree, path)
        if caught:
            break
    assert caught, "no session was stopped in time: nothing was tried"
    process, first, below = caught
    start = time.monotonic()
    os.kill(first, signal.SIGKILL)
    out, err = process.communicate(timeout=40)
    assert b"escaped" not in out and process.returncode != 0, (out, err)
    assert await_end_of(below) and time.monotonic() - start < 8
