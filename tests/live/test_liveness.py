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
