"""The cut: a session's owner ends its network, wherever the world has its sockets, and the session goes on."""
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from test_network import LINKS, PRELUDE, PYTHON, UNIX, Server, allow, profile  # noqa: F401


def session_of(sg, process):
    for _ in range(20):  # a busy machine: ps asks each session for two seconds at most
        listed = sg.cli("ps", "--json").stdout.splitlines()
        found = [s["session"] for s in map(json.loads, listed) if s["pid"] == process.pid]
        if found:
            return found[0]
    raise AssertionError("the session is not listed")


def begin(sg, text, script, *arguments, env=None):
    """Starts a script in a world and returns when it has said "up"."""
    process, log = sg.start(text, PYTHON, sg.write("cut.py", PRELUDE + script), *map(str, arguments),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    line = process.stdout.readline()
    assert line == b"up\n", (line, process.stderr.read() if process.poll() is not None else "")
    return process, log


def cut(sg, process, *options):
    done = sg.cli("stop", "--network", *options, session_of(sg, process))
    assert done.returncode == 0, done.stderr


def end(process, log, timeout=60):
    """Lets the script go on behind its input(). Returns its words, and the records."""
    out, err = process.communicate(b"go\n", timeout=timeout)
    with open(log, encoding="utf-8", errors="surrogateescape") as f:
        records = [json.loads(line) for line in f]
    assert process.returncode == 0, (process.returncode, out, err)
    return out.decode().split("\n")[:-1], records, err.decode()


class Peer:
    """A TCP listener and a UDP socket of the host that note whatever comes, and send when told to."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.udp.settimeout(10)

    def accept(self):
        self.listener.settimeout(10)
        peer, _ = self.listener.accept()
        peer.settimeout(10)
        return peer

    def close(self):
        self.listener.close()
        self.udp.close()


@pytest.fixture
def peer():
    made = Peer()
    yield made
    made.close()


def test_connections_end_in_both_directions(sg, peer):
    """Data that is queued either way is gone, the peer sees a reset, and no call revives the socket."""
    process, log = begin(sg, profile(sg, allow("tcp:127.0.0.1:%d" % peer.port)), """
port = int(sys.argv[1])
s = tcp(("127.0.0.1", port)); d = os.dup(s.fileno()); out = tcp(("127.0.0.1", port))
out.setblocking(False)
try:
    while True: out.send(b"x" * 65536)
except BlockingIOError: pass
reader, seen = tcp(("127.0.0.1", port)), []
t = threading.Thread(target=lambda: seen.append(attempt(reader.recv, 10))); t.start()
print("up", flush=True); input()
t.join(10); print(t.is_alive(), len(seen) == 1 and seen[0] != b"late")
print(attempt(s.recv, 100), attempt(s.send, b"after"), attempt(os.write, d, b"after"))
print(attempt(out.send, b"after"), attempt(s.connect, ("127.0.0.1", port)), attempt(s.listen, 1), attempt(s.sendto, b"x", 0x20000000, ("127.0.0.1", port)))
print(attempt(tcp, ("127.0.0.1", port)), attempt(tcp, ("127.0.0.1", 1)))
l = socket(); l.bind(("127.0.0.1", 0)); l.listen(1); s.connect(l.getsockname()); a, _ = l.accept(); a.sendall(b"own"); print(s.recv(3).decode())
""", peer.port)
    first, filled, reading = peer.accept(), peer.accept(), peer.accept()
    first.sendall(b"queued")
    cut(sg, process)
    reading_ended = None
    try:
        reading.sendall(b"late")
        reading_ended = reading.recv(1)
    except OSError as error:
        reading_ended = error
    assert not reading_ended or isinstance(reading_ended, ConnectionError)
    with pytest.raises(ConnectionError):
        assert first.recv(100) == b"never"
    received = 0
    try:
        while True:
            data = filled.recv(1 << 20)
            received += len(data)
            if not data:
                break
    except ConnectionError:
        pass
    words, records, err = end(process, log)
    assert words[0] == "False True"
    assert words[1].split()[0] in ("ENOTCONN", "ECONNRESET", "b''"), words
    assert set(words[1].split()[1:]) <= {"EPIPE", "ECONNRESET", "ENOTCONN"}, words
    assert words[2].split()[0] in ("EPIPE", "ECONNRESET") and words[2].split()[1:] == ["ENETUNREACH", "EACCES", "EPERM"], words
    assert words[3] == "ENETUNREACH ECONNREFUSED", words
    assert words[4] == "own", words
    refusals = [r for r in records if r["kind"] == "refusal" and r["object"] == "tcp:127.0.0.1:%d" % peer.port]
    assert refusals and refusals[0]["reason"] == "the session's owner has cut its network"
    assert any(r["kind"] == "note" and "the owner has cut" in r["message"] for r in records)


def test_datagrams_end(sg, peer):
    """Connected, unconnected, bound and corked datagram sockets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        mine = free.getsockname()[1]
    text = profile(sg, 'Flags = ["loopback"]\nAllow = ["udp:127.0.0.1:%d"]\nListen = ["udp:127.0.0.1:%d"]\n' % (peer.port, mine))
    process, log = begin(sg, text, """
port, mine = int(sys.argv[1]), int(sys.argv[2])
u = socket(AF_INET, SOCK_DGRAM); u.connect(("127.0.0.1", port)); u.send(b"connected")
o = socket(AF_INET, SOCK_DGRAM); o.sendto(b"open", ("127.0.0.1", port))
b = socket(AF_INET, SOCK_DGRAM); b.bind(("127.0.0.1", mine)); b.sendto(b"bound", ("127.0.0.1", port))
c = socket(AF_INET, SOCK_DGRAM); c.connect(("127.0.0.1", port)); c.send(b"corked", 0x8000)
own = socket(AF_INET, SOCK_DGRAM); own.bind(("127.0.0.1", 0))
print("up", flush=True); input()
for s in (u, o, b): print(attempt(s.recv, 100, MSG_DONTWAIT))
c.setsockopt(IPPROTO_UDP, 1, 0)
print(attempt(u.send, b"after"), attempt(o.sendto, b"after", ("127.0.0.1", port)), attempt(b.sendto, b"after", ("127.0.0.1", port)), attempt(c.send, b"after"))
print(attempt(u.connect, ("127.0.0.1", port)), attempt(socket(AF_INET, SOCK_DGRAM).bind, ("127.0.0.1", mine)))
u.connect(own.getsockname()); u.send(b"own"); print(own.recv(10).decode())
""", peer.port, mine)
    peers = {}
    for _ in range(3):
        data, address = peer.udp.recvfrom(100)
        peers[data] = address
    for address in peers.values():
        peer.udp.sendto(b"queued", address)
    cut(sg, process)
    for address in peers.values():
        peer.udp.sendto(b"late", address)
    words, _, _ = end(process, log)
    assert words[:3] == ["EAGAIN"] * 3, words
    assert words[3].split()[0] in ("EPIPE", "EDESTADDRREQ"), words
    assert words[3].split()[1:3] == ["ENETUNREACH"] * 2 and words[3].split()[3] in ("EPIPE", "EDESTADDRREQ"), words
    assert words[4] == "ENETUNREACH ENETUNREACH" and words[5] == "own", words
    peer.udp.settimeout(0)
    with pytest.raises(BlockingIOError):
        peer.udp.recvfrom(100)


def test_sockets_in_flight(sg, peer):
    """In the queue of a unix socket, in one that lies in such a queue itself or in its own, in one that nobody has accepted,
    and in a child."""
    process, log = begin(sg, profile(sg, UNIX + 'Allow = ["tcp:127.0.0.1:%d"]\n' % peer.port), """
port = int(sys.argv[1])
def fresh(): return tcp(("127.0.0.1", port)).detach()
def give(s, *fds): send_fds(s, [b"f"], list(fds)); [os.close(f) for f in fds]
def take(s): return socket(fileno=recv_fds(s, 1, 4)[1][0])
a, b = socketpair(); a.send(b"before"); give(a, fresh())
c, d = socketpair(); give(c, fresh()); e, f = socketpair(); give(e, d.detach())
g, h = socketpair(AF_UNIX, SOCK_DGRAM); give(g, fresh())
l = socket(AF_UNIX); l.bind("/tmp/l"); l.listen(1); k = socket(AF_UNIX); k.connect("/tmp/l"); give(k, fresh()); k.close()
r, w = os.pipe(); held = fresh(); child = os.fork()
if child == 0:
    os.close(w); os.read(r, 1); print("child", attempt(os.write, held, b"after"), flush=True); os._exit(0)
os.close(held)
x, y = socketpair(); give(x, os.dup(y.fileno()), fresh())  # a socket that holds itself
print("up", flush=True); input()
b.recv(6); s = take(b); print(attempt(s.send, b"after"), attempt(s.recv, 10))
s = take(take(f)); print(attempt(s.send, b"after"))
s = take(h); print(attempt(s.send, b"after"))
n, _ = l.accept() if select.select([l], [], [], 0)[0] else (None, None); print("none" if n is None else attempt(take(n).send, b"after"))
os.write(w, b"x"); os.waitpid(child, 0)
print(attempt(socket(fileno=recv_fds(y, 1, 4)[1][1]).send, b"after"))
""", peer.port)
    peers = [peer.accept() for _ in range(6)]
    cut(sg, process)
    words, _, _ = end(process, log)
    gone = {"EPIPE", "ECONNRESET", "ENOTCONN"}
    child, first, *rest = words  # the child had an output of its own
    assert child.split()[0] == "child" and child.split()[1] in gone, words
    assert set(first.split()) <= gone | {"b''"}, words
    assert rest[2] == "none" and {rest[0], rest[1], rest[3]} <= gone, words
    for other in peers:
        try:
            assert other.recv(10) == b""
        except ConnectionError:
            pass


def test_listeners_and_what_they_accepted(sg):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, log = begin(sg, profile(sg, 'Flags = ["loopback"]\nListen = ["tcp:127.0.0.1:%d"]\n' % port), """
l = socket(); l.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); l.bind(("127.0.0.1", int(sys.argv[1]))); l.listen(8)
words = []
print("up", flush=True); a, _ = l.accept(); t = threading.Thread(target=lambda: words.append(attempt(l.accept))); t.start()
print("accepted", flush=True); input()
t.join(10); print(t.is_alive(), words)
print(attempt(a.recv, 10), attempt(a.send, b"after"), attempt(l.listen, 1), attempt(l.accept))
""", port)
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        assert process.stdout.readline() == b"accepted\n"
        peer.sendall(b"queued")
        cut(sg, process)
        with pytest.raises(ConnectionError):
            assert peer.recv(10) == b"never"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 10)
    words, _, _ = end(process, log)
    assert words[0] in ("False ['ENETUNREACH']", "False ['EINVAL']"), words
    assert words[1].split()[0] in ("ENOTCONN", "ECONNRESET", "b''") and words[1].split()[1] in ("EPIPE", "ECONNRESET"), words
    assert words[1].split()[2:] == ["ENETUNREACH", "EINVAL"] or words[1].split()[2:] == ["EACCES", "EINVAL"], words


def test_a_connection_that_is_under_way(sg):
    """SYN_SENT: a peer whose queue is full lets it hang; after the cut it may not come about."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    port = full.getsockname()[1]
    fill = []
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        fill.append(s)
    time.sleep(0.2)
    process, log = begin(sg, profile(sg, allow("tcp:127.0.0.1:%d" % port)), """
port = int(sys.argv[1])
s = socket(); s.setblocking(False); print(errno.errorcode[s.connect_ex(("127.0.0.1", port))], file=sys.stderr)
words = []; t = threading.Thread(target=lambda: words.append(attempt(tcp, ("127.0.0.1", port)))); t.start()
time.sleep(0.3); print("up", flush=True); input()
t.join(10); print(t.is_alive(), words); time.sleep(1.5)
print(attempt(s.send, b"after"), attempt(s.getpeername))
""", port)
    cut(sg, process)
    full.settimeout(1.5)
    for _ in range(8):
        try:
            full.accept()[0].close()
        except OSError:
            break
    for s in fill:
        s.close()
    words, _, _ = end(process, log)
    full.close()
    assert words[0] == "False ['ENETUNREACH']", words
    assert words[1].split()[0] in ("EPIPE", "ECONNRESET", "ENOTCONN") and words[1].split()[1] == "ENOTCONN", words


def test_unix_sockets_of_the_host(sg):
    """A connection to a socket of the host, one that the host made to the world's, and one that a process of the host passed in."""
    path, shared = os.path.join(sg.work, "host.sock"), os.path.join(sg.cwd, "shared.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(4)
    text = profile(sg, UNIX + 'Allow = ["unix:%s"]\n' % path, filesystem='ReadWrite = ["%s/**"]' % sg.cwd, flags=', "write"' + LINKS)
    process, log = sg.start(text, PYTHON, sg.write("cut.py", PRELUDE + UNIX_SCRIPT), path, shared, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    listener.settimeout(10)
    host, _ = listener.accept()
    outside = socket.socket()
    outside.bind(("127.0.0.1", 0))
    outside.listen(1)
    given = socket.create_connection(outside.getsockname())
    far, _ = outside.accept()
    socket.send_fds(host, [b"f"], [given.fileno()])
    given.close()
    assert process.stdout.readline() == b"up\n", process.stderr.read()
    inward = socket.socket(socket.AF_UNIX)
    inward.connect(shared)
    assert process.stdout.readline() == b"accepted\n"
    host.sendall(b"queued")
    inward.sendall(b"queued")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"queued", shared + "d")
        cut(sg, process)
        with pytest.raises(OSError):
            sender.sendto(b"late", shared + "d")
    for s in (host, inward):
        with pytest.raises(OSError):
            s.sendall(b"late")
    with pytest.raises(OSError):
        socket.socket(socket.AF_UNIX).connect(shared)
    words, _, _ = end(process, log)
    assert words[0] == "b'' EPIPE EPIPE b'' EPIPE" or words[0] == "b'' EPIPE ECONNRESET b'' EPIPE", words
    assert words[1].split()[0] in ("EAGAIN", "b''") and words[1].split()[1:] == ["ECONNREFUSED", "EACCES"], words
    assert words[2:] == ["own", "own", "bound"], words
    far.settimeout(10)
    try:
        assert far.recv(10) == b""
    except ConnectionError:
        pass
    for s in (listener, host, outside, far, inward):
        s.close()


UNIX_SCRIPT = """
path, shared = sys.argv[1:]
s = socket(AF_UNIX); s.connect(path); passed = socket(fileno=recv_fds(s, 1, 1)[1][0])
l = socket(AF_UNIX); l.bind(shared); l.listen(4); os.chmod(shared, 0o777)
d = socket(AF_UNIX, SOCK_DGRAM); d.bind(shared + "d"); os.chmod(shared + "d", 0o777)
own = socket(AF_UNIX); own.bind("/tmp/own"); own.listen(1); c = socket(AF_UNIX); c.connect("/tmp/own"); o, _ = own.accept()
c2 = socket(AF_UNIX); c2.connect(shared); o2, _ = l.accept()
print("up", flush=True); a, _ = l.accept()
print("accepted", flush=True); input()
print(attempt(s.recv, 10), attempt(s.send, b"after"), attempt(passed.send, b"after"), attempt(a.recv, 10), attempt(a.send, b"after"))
print(attempt(d.recv, 10, MSG_DONTWAIT), attempt(socket(AF_UNIX).connect, path), attempt(socket(AF_UNIX).bind, shared + "2"))
o.send(b"own"); print(c.recv(3).decode()); o2.send(b"own"); print(c2.recv(3).decode()); socket(AF_UNIX).bind("/tmp/own2"); print("bound")
"""


def test_what_is_kept_stays(sg, peer):
    other = Peer()
    process, log = begin(sg, profile(sg, allow("tcp:127.0.0.1:%d" % peer.port, "tcp:127.0.0.1:%d" % other.port)), """
good, bad = int(sys.argv[1]), int(sys.argv[2])
s, t = tcp(("127.0.0.1", good)), tcp(("127.0.0.1", bad))
print("up", flush=True); input()
print(s.recv(10).decode(), attempt(t.send, b"after"), attempt(tcp, ("127.0.0.1", bad)))
print(tcp(("127.0.0.1", good)).recv(10).decode())
t.connect(("127.0.0.1", good)); print(t.recv(10).decode())
""", peer.port, other.port)
    kept, lost = peer.accept(), other.accept()
    wrong = sg.cli("stop", "--network", "--keep", "tcp:name.test:80", session_of(sg, process))
    assert wrong.returncode == 2 and "only IP addresses" in wrong.stderr
    cut(sg, process, "--keep", "tcp:127.0.0.1:%d" % peer.port)
    with pytest.raises(ConnectionError):
        assert lost.recv(10) == b"never"
    kept.sendall(b"kept")

    def serve():
        for word in (b"again", b"anew"):
            peer.accept().sendall(word)
    threading.Thread(target=serve, daemon=True).start()
    words, _, _ = end(process, log)
    assert words[0].startswith("kept ") and words[0].split()[1] in ("EPIPE", "ECONNRESET") and words[0].endswith("ENETUNREACH"), words
    assert words[1:] == ["again", "anew"], words
    other.close()


def test_why_proposes_no_rule_against_the_owner(sg, peer):
    process, log = begin(sg, profile(sg, allow("tcp:127.0.0.1:%d" % peer.port)), """
print("up", flush=True); input(); print(attempt(tcp, ("127.0.0.1", int(sys.argv[1]))))
""", peer.port)
    cut(sg, process)
    words, _, _ = end(process, log)
    assert words == ["ENETUNREACH"]
    told = sg.cli("why", "--session", log)
    assert "cut its network" in told.stdout and "Allow" not in told.stdout, told.stdout + told.stderr


# --- descriptors that move while the cut is made ---

MOVING = """
import signal
port, rounds = int(sys.argv[1]), 0
def outside(): return tcp(("127.0.0.1", port))
stop = "/tmp/stop"
def until_told(move):
    while not os.path.exists(stop): move()
HOW
print("up", flush=True); input()
open(stop, "w").close()
FINISH
"""

# What moves, and what is tried afterwards: each prints words for attempts that must have failed.
HOW = {
    # Two processes hand a socket to and fro: mostly it lies in a queue.
    "handed-on": ("""
a, b = socketpair(); s = outside(); send_fds(a, [b"f"], [s.fileno()]); s.close()
child = os.fork()
mine = a if child else b
def turn():
    global last
    if not select.select([mine], [], [], 0.05)[0]: return
    fd = recv_fds(mine, 1, 1)[1][0]
    send_fds(mine, [b"f"], [fd]); os.close(fd)
if child == 0:
    until_told(turn); os._exit(0)
t = threading.Thread(target=until_told, args=(turn,)); t.start()
""", """
t.join(); os.waitpid(child, 0)
for end in (a, b):
    while select.select([end], [], [], 0)[0]: print(attempt(socket(fileno=recv_fds(end, 1, 1)[1][0]).send, b"after"))
"""),
    # Each moment under another number, the former one closed.
    "duplicated": ("""
held = [outside().detach()]
def turn():
    new = os.dup(held[-1]); held.append(new)
    if len(held) > 40: [os.close(fd) for fd in held[:39]]; del held[:39]
ts = [threading.Thread(target=until_told, args=(turn,))]; ts[0].start()
""", """
ts[0].join()
for fd in held: print(attempt(os.write, fd, b"after"))
"""),
    # Inherited by children that are born at that moment, and outlive it.
    "inherited": ("""
held = outside(); r, w = os.pipe(); out_r, out_w = os.pipe(); children = []
def turn():
    child = os.fork()
    if child == 0:
        try: os.close(w); os.read(r, 1); os.write(out_w, (attempt(held.send, b"after") + "\\n").encode())
        finally: os._exit(0)
    children.append(child)
    if len(children) > 30:
        first = children.pop(0); os.kill(first, 9); os.waitpid(first, 0)
ts = [threading.Thread(target=until_told, args=(turn,))]; ts[0].start()
""", """
ts[0].join(); os.close(w); os.close(out_w)
for child in children: os.waitpid(child, 0)
print(open(out_r).read(), end=""); print(attempt(held.send, b"after"))
"""),
    # Held by a process that is stopped, which runs again later.
    "stopped": ("""
held = outside(); r, w = os.pipe(); out_r, out_w = os.pipe()
child = os.fork()
if child == 0:
    os.close(w); os.read(r, 1); os.write(out_w, (attempt(held.send, b"after") + "\\n").encode()); os._exit(0)
held.close(); os.kill(child, signal.SIGSTOP); os.waitpid(child, os.WUNTRACED)
""", """
os.write(w, b"x"); os.kill(child, signal.SIGCONT); os.waitpid(child, 0); os.close(out_w)
print(open(out_r).read(), end="")
"""),
    # Made anew all the time: some are in the middle of being connected.
    "connected": ("""
held = []
def turn():
    try: held.append(outside())
    except OSError: pass
    if len(held) > 20: held.pop(0).close()
ts = [threading.Thread(target=until_told, args=(turn,)) for _ in range(3)]; [t.start() for t in ts]
""", """
[t.join() for t in ts]
for s in held: print(attempt(s.send, b"after"))
print(attempt(outside))
"""),
}


class Sink:
    """A listener that accepts whatever comes and keeps what it was sent."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        self.heard = b""
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.read, args=(peer,), daemon=True).start()

    def read(self, peer):
        with peer:
            try:
                while data := peer.recv(4096):
                    self.heard += data
            except OSError:
                pass


@pytest.fixture
def sink():
    made = Sink()
    yield made
    made.listener.close()


def check_moving(sg, sink, kind, text, env=None):
    how, finish = HOW[kind]
    script = MOVING.replace("HOW", how).replace("FINISH", finish)
    process, log = begin(sg, text, script, sink.port, env=env)
    cut(sg, process)
    words, records, err = end(process, log)
    assert words and set(words) <= {"EPIPE", "ECONNRESET", "ENOTCONN", "ENETUNREACH", "EBADF"}, (words, err)
    assert sink.heard == b""
    assert any(r["kind"] == "note" and "the owner has cut" in r["message"] for r in records)


@pytest.mark.parametrize("kind", list(HOW))
def test_what_moves_during_the_cut(sg, sink, kind):
    check_moving(sg, sink, kind, profile(sg, UNIX + 'Allow = ["tcp:127.0.0.1:%d"]\n' % sink.port, flags=LINKS))


def test_a_copy_from_before_the_swap_leads_nowhere(sg, sink):
    """A number that was copied before the first was connected outside means the world's own socket, before a cut and after it."""
    process, log = begin(sg, profile(sg, allow("tcp:127.0.0.1:%d" % sink.port)), """
port = int(sys.argv[1]); s = socket(); copy = socket(fileno=os.dup(s.fileno())); s.connect(("127.0.0.1", port))
words = [attempt(copy.send, b"copy"), attempt(copy.getpeername), s.getpeername()[1] == port]
own = socket(); own.bind(("127.0.0.1", 0)); own.listen(1); copy.connect(own.getsockname()); a, _ = own.accept(); a.sendall(b"own")
print("up", flush=True); input()
print(*words, copy.recv(3).decode())
print(attempt(s.send, b"after"), attempt(copy.send, b"still")); print(a.recv(5).decode())
""", sink.port)
    cut(sg, process)
    words, _, _ = end(process, log)
    assert words[0] in ("EPIPE ENOTCONN True own", "ENOTCONN ENOTCONN True own"), words
    assert words[1].split()[0] in ("EPIPE", "ECONNRESET", "ENOTCONN") and words[2] == "still", words
    assert sink.heard == b""
