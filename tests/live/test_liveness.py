"""A session stays in its owner's hands, whatever the world does to keep its supervisor busy, waiting, or short of room."""
import json
import os
import signal
import subprocess
import time

import pytest

from conftest import BASE

LOOPBACK = BASE.replace("[Filesystem]", '[Networking]\nFlags = ["loopback"]\n[Filesystem]', 1)


def begin(sg, profile, script, *arguments, **kwargs):
    """Starts the script in a world; returns the front end and the script's path, by which the session is known."""
    path = sg.write("held.py", script)
    process, _ = sg.start(profile, "/usr/bin/python3", "-u", path, *arguments, options=["--ro", path], stdin=subprocess.DEVNULL,
                          stdout=kwargs.pop("stdout", subprocess.PIPE), stderr=kwargs.pop("stderr", subprocess.DEVNULL), **kwargs)
    return process, path


def find(sg, path):
    done = sg.cli("ps", "--json")
    found = [s for s in (json.loads(line) for line in done.stdout.splitlines()) if path in s["command"]]
    assert len(found) == 1, (done.stdout, done.stderr)
    return found[0]["session"]


def stays_in_hand(sg, process, path, patience=1.5):
    """It is listed, again and again, and stopped."""
    for _ in range(5):
        begun = time.monotonic()
        session = find(sg, path)
        assert time.monotonic() - begun < patience
    begun = time.monotonic()
    assert sg.cli("stop", session).returncode == 0
    process.communicate(timeout=30)
    assert time.monotonic() - begun < 4


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


# A connection whose peer never reads, with an hour to linger; the last descriptor of it is the supervisor's copy.
LINGER = """
import ctypes, os, signal, struct, sys, threading, time
from socket import *
def pair():
    l = socket(); l.bind(("127.0.0.1", 0)); l.listen(1)
    c = socket(); c.connect(l.getsockname()); held.append((l, l.accept()))
    c.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 3600)); c.setblocking(False)
    try:
        while True: c.send(b"x" * 65536)
    except BlockingIOError: pass
    c.setblocking(True)
    return c, l.getsockname()
def libc_send(number, address):
    libc = ctypes.CDLL(None, use_errno=True)
    to = struct.pack("=HH4s8x", AF_INET, htons(address[1]), inet_aton(address[0]))
    libc.sendto(number, b"y" * 65536, 65536, 0, to, len(to))
held = []
def killed(c, address):
    child = os.fork()
    if child == 0: c.sendto(b"y" * 65536, address); os._exit(0)
    c.close(); time.sleep(0.3)
    os.kill(child, signal.SIGKILL); os.waitpid(child, 0)
def interrupted(c, address):
    def lose():
        time.sleep(0.3); os.close(number); signal.pthread_kill(main, signal.SIGUSR1)
    main, number = threading.main_thread().ident, c.detach()
    def handle(*a): raise InterruptedError
    signal.signal(signal.SIGUSR1, handle)
    threading.Thread(target=lose).start()
    try: libc_send(number, address)
    except InterruptedError: pass
for i in range(int(sys.argv[2])): globals()[sys.argv[1]](*pair())
time.sleep(1.2)
print("up", flush=True)
time.sleep(1000)
"""


# Some write to a file without end, one empties it, a neighbour opens another file: how long at most?
EMPTIED = """
import mmap, os, signal, time
big = mmap.mmap(-1, 64 << 20)
number = os.open("/tmp/big", os.O_RDWR | os.O_CREAT)
children = []
def begin(run):
    child = os.fork()
    if child == 0:
        try: run()
        finally: os._exit(1)
    children.append(child)
def write():
    while True: os.pwrite(number, big, 0)
def empty():
    while True: os.close(os.open("/tmp/big", os.O_WRONLY | os.O_TRUNC)); time.sleep(0.05)
os.pwrite(number, big, 0)
for i in range(24): begin(write)
time.sleep(0.3)
begin(empty)
end, longest = time.monotonic() + 6, 0
while time.monotonic() < end:
    begun = time.monotonic(); os.close(os.open("/tmp/other", os.O_RDWR | os.O_CREAT)); longest = max(longest, time.monotonic() - begun)
for child in children: os.kill(child, signal.SIGKILL)
print(longest)
"""


def test_nobody_waits_for_a_file_that_is_emptied_while_it_is_written(sg):
    r = sg.run(BASE, "/usr/bin/python3", "-c", EMPTIED)
    assert r.status == 0 and float(r.stdout) < 2, (r.stdout, r.stderr)


# Each has failed to execute, is to be let go by who looked at that, and waits for a child of vfork(2).
PLACES = """
import ctypes, os, signal, time
libc = ctypes.CDLL(None)
bad = "/tmp/bad"
with open(bad, "wb") as f: f.write(b"\\1no program")
os.chmod(bad, 0o755)
words, name, call = (ctypes.c_char_p * 2)(b"x", None), bad.encode(), libc.syscall
call(39)
begun = os.pipe()
def hold():
    libc.execv(name, words)
    # As vfork(2) does: the parent waits, in a state that only a fatal signal ends.
    if call(56, 0x4000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os.write(begun[1], b".")
        while True: time.sleep(1000)
    os._exit(0)
said = "room"
for i in range(2000):  # some, and on a slow machine most, are let go before
    if os.fork() == 0: hold()
    os.read(begun[0], 1)
    if i < 300 or i % 50 != 0: continue
    time.sleep(0.5)
    try:
        os.waitpid(os.posix_spawn("/usr/bin/true", ["true"], {}), 0)
    except OSError as e:
        said = e.strerror
        break
print(said, flush=True)
time.sleep(1000)
"""


def test_places_of_executions_are_kept_for_who_enters(sg):
    """A world that holds all the places that it can have executes nothing more, and is entered all the same."""
    process, path = begin(sg, BASE.replace('Exec = ["/usr/**"]', 'Exec = ["/usr/**", "/tmp/**"]'), PLACES)
    try:
        assert process.stdout.readline() == b"Resource temporarily unavailable\n"
        for _ in range(3):
            done = sg.cli("enter", find(sg, path), "--", "/bin/sh", "-c", "/bin/echo entered; /bin/true")
            assert (done.returncode, done.stdout) == (0, "entered\n"), done.stderr
        stays_in_hand(sg, process, path)
    finally:
        end(process)


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_nobody_lingers_at_the_close_of_a_socket(sg, how):
    """The last close of a connection is the supervisor's: it does not wait for the peer, as often as the world arranges it."""
    process, path = begin(sg, LOOPBACK, LINGER, how, "3")
    try:
        assert process.stdout.readline() == b"up\n"
        stays_in_hand(sg, process, path)
    finally:
        end(process)


KEPT = """
import os, struct
from socket import *
l = socket(); l.bind(("127.0.0.1", 0)); l.listen(1)
c = socket(); c.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 7)); c.connect(l.getsockname())
c.sendto(b"x", l.getsockname())
l.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 8))
d = socket(); d.connect(l.getsockname()); l.accept(); a, _ = l.accept()
print(*(struct.unpack("ii", s.getsockopt(SOL_SOCKET, SO_LINGER, 8)) for s in (c, l, a)))
"""


def test_who_has_its_socket_keeps_its_option(sg):
    r = sg.run(LOOPBACK, "/usr/bin/python3", "-c", KEPT)
    assert r.stdout == "(1, 7) (1, 8) (1, 8)\n", r.stderr


# The command stops and goes on without end, and refusals are told: nobody reads of it.
STOPPED = """
import os, signal, time
main = os.getpid()
if os.fork() == 0:
    for n in range(1 << 30):
        try: open("/usr/new-%d-" % n + "n" * 200, "w")
        except OSError: pass
        os.kill(main, signal.SIGSTOP); os.kill(main, signal.SIGCONT)
while True: time.sleep(0.001)
"""


def test_a_front_end_that_does_not_read_is_not_waited_for(sg):
    out, into = os.pipe()
    process, path = begin(sg, BASE, STOPPED, stdout=into, stderr=into)
    try:
        os.close(into)
        session = None
        deadline = time.monotonic() + 20
        while session is None and time.monotonic() < deadline:  # it has begun when it is listed
            try:
                session = find(sg, path)
            except AssertionError:
                continue
        os.kill(process.pid, signal.SIGSTOP)
        for _ in range(12):
            begun = time.monotonic()
            assert find(sg, path) == session and time.monotonic() - begun < 1.5
            time.sleep(0.1)
    finally:
        end(process)
        os.close(out)


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
        return [int(child) for child in f.read().split()]


def comm(pid):
    with open("/proc/%d/comm" % pid, encoding="ascii") as f:
        return f.read().strip()


def below(process, name):
    """The process of that name below the front end."""
    seen = [process.pid]
    for pid in seen:
        if comm(pid) == name:
            return pid
        seen += children(pid)
    raise AssertionError(name)


SLEEPS = 'import time\nprint("up", flush=True)\ntime.sleep(1000)\n'


@pytest.fixture
def standing(sg):
    """A session whose supervisor stands: its front end, its script's path, and its supervisor."""
    process, path = begin(sg, BASE, SLEEPS)
    assert process.stdout.readline() == b"up\n"
    supervisor = below(process, "sg-supervisor")
    first = children(below(process, "sg-keeper"))[0]
    os.kill(supervisor, signal.SIGSTOP)
    yield process, path, first
    try:
        os.kill(supervisor, signal.SIGCONT)
    except ProcessLookupError:
        pass
    end(process)


def has_ended(pid):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with open("/proc/%d/stat" % pid, encoding="ascii") as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_the_keeper_answers_for_a_supervisor_that_stands(sg, standing):
    process, path, first = standing
    session = find(sg, path)
    begun = time.monotonic()
    entered = sg.cli("enter", session, "--", "/usr/bin/true")
    assert entered.returncode == 125 and "held up" in entered.stderr and time.monotonic() - begun < 5, entered.stderr
    assert find(sg, path) == session
    assert sg.cli("stop", session).returncode == 0
    assert has_ended(first)


def test_the_keeper_ends_a_world_whose_network_cannot_be_cut(sg, standing):
    process, path, first = standing
    done = sg.cli("stop", "--network", find(sg, path))
    assert done.returncode == 125 and "the session ends" in done.stderr
    assert has_ended(first)


def test_a_world_does_not_outlive_its_front_end(sg, standing):
    process, _, first = standing
    process.kill()
    assert has_ended(first)


FLOOD = """
import os
folder = "\\1" * 200
os.makedirs(folder, exist_ok=True)
name = (folder + "/../") * 18 + "../" * 9 + "usr/new"  # 22 KB in the record
def refuse():
    for i in range(400):
        try: os.open(name, os.O_RDWR | os.O_CREAT)
        except OSError: pass
for i in range(2):
    if os.fork() == 0: refuse(); os._exit(0)
for i in range(2): os.wait()
"""
GRANTED = """
import os
count = 0
for i in range(2000):
    try: os.close(os.open("mine", os.O_RDWR | os.O_CREAT)); count += 1
    except OSError: pass
print(count)
"""


def test_sessions_that_flood_their_auditors_lose_no_record_of_others(sg):
    """Two at the same time, with the largest records that a world can cause, on the disk where a third has its own."""
    profile = BASE.replace("Exec", 'ReadWrite = ["%s/**"]\nExec' % sg.cwd, 1)
    flooding = [sg.start(profile, "/usr/bin/python3", "-c", FLOOD, options=["--quiet"]) for _ in range(2)]
    asking = sg.start(profile, "/usr/bin/python3", "-c", GRANTED, stdout=subprocess.PIPE)
    given = int(asking[0].communicate(timeout=120)[0])
    for (process, log), kind, count in [(flooding[0], "refusal", 800), (flooding[1], "refusal", 800), (asking, "grant", 2000)]:
        assert process.wait(timeout=120) == 0
        assert sg.cli("audit", "verify", log).returncode == 0
        with open(log, encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
        recorded, failed = sum(r["kind"] == kind for r in records), sum(r["coalesced"] for r in records if r["kind"] == "flood")
        assert records[-1]["kind"] == "session-end" and records[-1]["counts"][kind] == recorded
        assert records[-1]["counts"]["failed"] == failed and recorded + failed >= count, (recorded, failed)
        assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    assert given == recorded > 1000, (given, recorded)  # of the last: what was given is on the record, and most of it was


def test_the_keeper_lets_a_supervisor_that_is_there_answer(sg):
    """However often it is asked."""
    process, path = begin(sg, LOOPBACK, SLEEPS)
    try:
        assert process.stdout.readline() == b"up\n"
        keeper = below(process, "sg-keeper")
        askers = [subprocess.Popen(sg.command([sg.program, "enter", find(sg, path), "--", "/usr/bin/true"]), env=sg.environment(),
                                   stderr=subprocess.PIPE) for _ in range(3)]
        begun = time.monotonic()
        while time.monotonic() - begun < 2.5:
            session = find(sg, path)
        assert [(a.communicate(timeout=30)[1], a.returncode) for a in askers] == [(b"", 0)] * 3
        assert sg.cli("stop", "--network", session).returncode == 0 and comm(keeper) == "sg-keeper"
        assert find(sg, path) == session
    finally:
        end(process)
