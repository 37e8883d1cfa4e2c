"""The world's second bound: a profile of AppArmor, where the host has it and root starts the session; and what is promised where not."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BASE, TIMEOUT
from test_compile import FILES, answers, need
from test_enter import Session
from test_loading import KERNEL, MORE, is_active, loaded, prepare

RUN, CACHE = "/run/shellguard/apparmor", "/var/lib/shellguard/apparmor"
PREFIX = "shellguard.run."
NEEDED = BASE.replace("[Runtime]", 'Bounds = ["apparmor"]\n[Runtime]')
ACCEPTED = NEEDED + '[Misc]\nAcceptMissing = ["apparmor"]\n'
LABEL = "/proc/self/attr/apparmor/current"


def has_bound(sg):
    """As doctor says, and this test by its own looks."""
    peers = any(os.path.exists(KERNEL + "/features/" + name) for name in ("network/af_unix", "network_v9"))
    has = is_active() and sg.uid == 0 and os.access(KERNEL + "/.load", os.W_OK) and not peers and shutil.which("apparmor_parser", path="/usr/sbin:/sbin") is not None
    row = [f for f in json.loads(sg.cli("doctor", "--json").stdout)["features"] if f["name"] == "apparmor"][0]
    assert row["state"] == ("present" if has else "missing"), row
    return has


def profiles():
    return {name for name in loaded() if name.startswith(PREFIX)} if os.path.exists(KERNEL + "/profiles") else set()


def labels():
    """Processes of the host in profiles of sessions: name of the program to label."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/attr/apparmor/current"):
        try:
            with open(path, encoding="utf-8") as f:
                label = f.read().strip()
            with open(path.split("/attr")[0] + "/comm", encoding="utf-8") as f:
                name = f.read().strip()
        except OSError:
            continue
        if label.startswith(PREFIX):
            found.setdefault(name, set()).add(label)
    return found


def test_said(sg):
    """The start record says which profile, or why there is none; explain, what a session would have here."""
    has = has_bound(sg)
    done = sg.run(BASE, "/bin/true")
    assert done.status == 0, done.stderr
    bounds = done.of("session-start")[0]["bounds"]
    explained, short = (" ".join(sg.cli("explain", *options, sg.profile(BASE)).stdout.split()) for options in (["--long"], []))
    if has:
        assert list(bounds) == ["apparmor"] and re.fullmatch(r"shellguard\.run\.[0-9a-f]{40}", bounds["apparmor"])
        assert "a profile of AppArmor around the world" in explained and "AppArmor a profile of it around the world" in short
    else:
        assert list(bounds) == ["no_apparmor"]
        assert sg.uid == 0 or bounds["no_apparmor"] == ("its profiles are the host's root's to load (CAP_MAC_ADMIN)" if is_active() else "AppArmor is not active in this kernel")
        assert "no profile of AppArmor: " + bounds["no_apparmor"] in explained
        assert "AppArmor no profile of it: " + bounds["no_apparmor"] in short


def test_needed(sg):
    """A profile that asks for it is refused by name where it cannot be had, unless it accepts that."""
    done = sg.run(NEEDED, "/bin/echo", "runs")
    if has_bound(sg):
        assert (done.status, done.stdout) == (0, "runs\n"), done.stderr
        assert done.of("session-start")[0]["features"]["missing"] == []
    else:
        assert done.status == 125 and 'Bounds "apparmor" needs the feature apparmor' in done.stderr and not done.records, done.stderr
    done = sg.run(ACCEPTED, "/bin/echo", "runs")
    assert (done.status, done.stdout) == (0, "runs\n"), done.stderr
    missing = [] if has_bound(sg) else ["apparmor"]
    assert done.of("session-start")[0]["features"] == {"missing": missing, "accepted": missing}
    assert ("no profile of AppArmor stands around this world" in done.stderr) == bool(missing)
    costs = " ".join(sg.cli("explain", "--long", "--cost", sg.profile(NEEDED)).stdout.split())
    assert "a profile of AppArmor around the world" in costs and "beside and behind the mount tree: apparmor" in costs
    wrong = sg.cli("check", sg.profile(NEEDED.replace('"apparmor"', '"armour"')))
    assert wrong.returncode == 1 and 'there is no bound "armour"' in wrong.stderr and "apparmor" in wrong.stderr


def test_every_process_is_in_it(sg):
    """The command, what it starts, the first process, and who enters; and none of those that look after the world."""
    if not has_bound(sg):
        done = sg.shell(BASE, "cat %s 2>/dev/null; true" % LABEL)
        assert PREFIX not in done.stdout
        return
    script = "cat %s; (cat %s); python3 -c 'print(open(\"%s\").read(), end=\"\")'; echo up; sleep 600 & while :; do sleep 0.05; done" % (LABEL, LABEL, LABEL)
    session = sg.start(BASE, "/bin/sh", "-c", script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)[0]
    try:
        said = [session.stdout.readline().decode().strip() for _ in range(4)]
        assert said[3] == "up" and len(set(said[:3])) == 1 and said[0].endswith(" (enforce)") and said[0].startswith(PREFIX), said
        ids = [s["session"] for s in map(json.loads, sg.cli("ps", "--json").stdout.splitlines()) if s["pid"] == session.pid]
        entered = sg.cli("enter", ids[0], "--", "/bin/cat", LABEL)
        assert entered.returncode == 0 and entered.stdout.strip() == said[0], entered.stderr
        found = labels()
        assert {"sh", "sleep", "sg-init"} <= set(found) and set.union(*found.values()) == {said[0]}, found
        assert not set(found) & {"shellguard", "sg-keeper", "sg-auditor"}
        # It cannot be left: no rule says so, and nothing else is named.
        for words in ("changeprofile unconfined", "exec unconfined", "changehat 0^x", "stack unconfined"):
            for file in ("current", "exec"):
                left = sg.cli("enter", ids[0], "--", "/bin/sh", "-c", "printf '%s' > /proc/self/attr/apparmor/%s; cat %s" % (words, file, LABEL))
                assert left.stdout.strip() == said[0], (words, left.stdout)
    finally:
        session.terminate()
        session.communicate(timeout=TIMEOUT)
    assert said[0].split()[0] not in profiles()


@pytest.mark.parametrize("how", ["ends", "killed"])
def test_it_goes_with_its_last_session(sg, how):
    """Two of one policy share it; a front end that is killed leaves it to the next to take away."""
    if not has_bound(sg):
        return
    sg.run(BASE, "/bin/true")  # takes away what others have left
    first, second = Session(sg), Session(sg)
    try:
        names = [s.records("session-start")[0]["bounds"]["apparmor"] for s in (first, second)]
        assert names[0] == names[1] and names[0] in profiles() and os.listdir(RUN).count(names[0]) == 1
        assert {"name": names[0], "state": "held"} in json.loads(sg.cli("doctor", "--json").stdout)["profiles"]
        assert names[0] + " held by a session" in " ".join(sg.cli("doctor").stdout.split())
        first.end()
        assert names[0] in profiles() and {names[0] + " (enforce)"} == labels()["sh"]
        if how == "ends":
            second.end()
        else:
            second.process.send_signal(signal.SIGKILL)
            second.process.communicate()
            deadline = time.monotonic() + TIMEOUT
            while labels():  # the world is killed too, by and by
                assert time.monotonic() < deadline
            assert {"name": names[0], "state": "stale"} in json.loads(sg.cli("doctor", "--json").stdout)["profiles"]
            other = sg.run(BASE.replace('"/etc/**"', '"/etc/**", "/var/**"'), "/bin/true")
            assert other.of("session-start")[0]["bounds"]["apparmor"] != names[0]
        assert names[0] not in profiles() and names[0] not in os.listdir(RUN)
    finally:
        first.end()
        second.end()


def text_of(sg):
    return BASE.replace('Flags = ["tmp"]', "").replace(
        '"/etc/**"]', '"/etc/**", "HOME/read/**", "HOME/place/**", \'HOME/$\\{x\\}/$y\']\nReadWrite = ["HOME/write/**"]\n'
        'Deny = ["HOME/read/secret", "HOME/write/deep/secret", "HOME/linked/behind"]').replace("HOME", sg.home) + """
[Networking]
Flags = ["loopback"]
"""


def test_it_holds_by_itself(sg):
    """A program of the host in a session's profile, with nothing else around it: what the policy gives, and nothing of the rest."""
    if not has_bound(sg):
        return
    need("aa-exec")
    prepare(sg)
    with Session(sg, profile=text_of(sg)) as session:
        name = session.records("session-start")[0]["bounds"]["apparmor"]
        done = subprocess.run(["aa-exec", "-p", name, "--", "/usr/bin/python3", "-c", FILES + MORE, sg.home], env=sg.environment(),
                              capture_output=True, text=True, timeout=2 * TIMEOUT, check=False)
        assert done.returncode == 0, done.stderr
        said = answers(done.stdout)
        for given in ("read given", "list given", "write given", "make given", "execute given", "write beside it"):
            assert said[given] == "ok", (given, said)
        for refused in ("read denied", "read by link", "denied at the end of a link", "write denied", "move above it", "mount", "chroot", "netlink",
                        "signal", "trace", "out of the profile", "out at the next execution"):
            assert said[refused] in ("EACCES", "EPERM"), (refused, said)


NATIVE = r"""
import ctypes, fcntl, mmap, os, socket, subprocess, sys, tempfile, threading
work = sys.argv[1]
os.chdir(work)
def check(name, value=True):
    print(name, "ok" if value else "WRONG", flush=True)
f = tempfile.TemporaryFile(dir=work)  # O_TMPFILE
f.write(b"x"); f.flush(); check("tmpfile", os.fstat(f.fileno()).st_size == 1)
g = open("gone", "w+"); os.unlink("gone"); g.write("y"); g.flush(); check("deleted", os.fstat(g.fileno()).st_size == 1)
check("reopened", open("/proc/self/fd/%d" % g.fileno()).read() == "y")
m = os.memfd_create("m"); os.write(m, b"z"); check("memfd", os.fstat(m).st_size == 1)
os.chmod(work, 0o755); fcntl.flock(os.open(work, os.O_RDONLY), fcntl.LOCK_SH); check("root of a tree")
os.mkdir("d"); open("d/a", "w").write("#!/bin/sh\necho ran\n"); os.chmod("d/a", 0o755)
os.rename("d", "e")
os.link("e/a", "e/b")
os.symlink("a", "e/c")
os.chmod("e/a", 0o700)
os.truncate("e/a", 5)
os.utime("e/a")
os.rename("e/b", "e/x")
os.mkfifo("e/p")
os.unlink("e/p")
check("names", sorted(os.listdir("e")) == ["a", "c", "x"])
fcntl.flock(open("e/x"), fcntl.LOCK_EX); check("lock")
import ssl, _ctypes, sqlite3; check("code")  # shared objects of Python's, mapped
a, b = socket.socketpair(); socket.send_fds(a, [b"f"], [g.fileno()]); check("passed", os.fstat(socket.recv_fds(b, 9, 1)[1][0]).st_size == 1)
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); c = socket.create_connection(s.getsockname()); s.accept()[0].send(b"n"); check("net", c.recv(1) == b"n")
u = socket.socket(socket.AF_UNIX); u.bind("e/s"); check("bound")
t = threading.Thread(target=lambda: open("/etc/passwd").read()); t.start(); t.join(); check("thread")
out = subprocess.run(["/bin/true"], env={"LD_SHOW_AUXV": "1"}, capture_output=True, text=True).stdout
check("not secure", "AT_SECURE:            0" in out)
check("signal", os.kill(os.getpid(), 0) is None and subprocess.run(["/bin/sh", "-c", "sleep 9 & kill $! && wait"]).returncode in (0, 143))
os.kill(1, 0); check("first")
check("proc", len(os.listdir("/proc/1")) > 0 and open("/proc/self/maps").read() != "" and os.readlink("/proc/self/exe") != "")
open("/proc/self/oom_score_adj", "w").write("500"); check("proc write")
check("root", "usr" in os.listdir("/") and os.listdir("/dev") != [])
open("/dev/null", "w").write("x"); check("null")
with open(os.path.join("/tmp", "own"), "w") as o: o.write("t")
m2 = mmap.mmap(os.open("/usr/bin/true", os.O_RDONLY), 0, prot=mmap.PROT_READ | mmap.PROT_EXEC); check("map")
"""


def test_it_is_never_the_first_to_refuse(sg):
    """What runs natively in a session runs with the bound as without."""
    profile = BASE.replace('"/etc/**"]', '"/etc/**"]\nReadWrite = ["%s/**"]' % sg.cwd).replace('["tmp"]', '["tmp", "locks", "links", "mknod", "attributes", "write"]')
    profile = profile.replace('"timers"]', '"timers", "shared-memory"]')
    profile += '[Networking]\nFlags = ["loopback", "unix"]\n'
    done = sg.run(profile, "/usr/bin/python3", "-c", NATIVE, sg.cwd)
    assert done.status == 0, done.stderr
    assert done.stdout.splitlines() and all(line.endswith(" ok") for line in done.stdout.splitlines()), done.stdout


def test_no_world_reaches_its_locks(sg):
    """Nor what was compiled: who could change that would choose the bound of the next session."""
    if not has_bound(sg):
        return
    text = BASE.replace('"/etc/**"]', '"/etc/**", "/run/**", "/var/lib/**"]')
    done = sg.shell(text, "for f in %s %s; do ls -A $f; ls $f/*; done" % (RUN, CACHE))
    assert done.stdout == "", done.stdout
    assert os.listdir(CACHE)


def test_a_fault_is_refused(sg):
    """Once the host has it, nothing is started without: folders that are not root's alone; but what was compiled is only a copy."""
    if not has_bound(sg):
        return
    sg.run(BASE, "/bin/true")
    try:
        os.chmod(RUN, 0o777)
        done = sg.run(BASE, "/bin/echo", "runs")
        assert done.status == 125 and RUN in done.stderr and "nothing is started" in done.stderr and done.stdout == "", done.stderr
        done = sg.run(BASE + '[Misc]\nAcceptMissing = ["apparmor"]\n', "/bin/echo", "runs")
        assert (done.status, done.stdout) == (0, "runs\n") and RUN in done.stderr
        assert done.of("session-start")[0]["features"]["missing"] == ["apparmor"] and RUN in done.of("session-start")[0]["bounds"]["no_apparmor"]
    finally:
        os.chmod(RUN, 0o700)
    for damage in (b"", b"cut short" * 10):
        for path in glob.glob(CACHE + "/*"):
            with open(path, "wb") as f:
                f.write(damage)
        assert sg.run(BASE, "/bin/echo", "runs").stdout == "runs\n"
    assert not profiles()
