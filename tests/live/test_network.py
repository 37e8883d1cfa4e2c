"""The network of a world: its own, what leads outside, what is refused, and how hard a caller may try.

Each check runs a small program inside (Python, on standard sockets) and asks for its words and for the record. Servers of
the host are threads of the test.
"""
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from conftest import ROOT, cannot

PYTHON = "/usr/bin/python3"

PRELUDE = """
import array, ctypes, errno, os, select, signal, socket, struct, sys, threading, time
from socket import *
def attempt(f, *a):
    try:
        return f(*a)
    except OSError as e:
        return errno.errorcode[e.errno]
def tcp(address, family=AF_INET, timeout=None):
    s = socket(family); s.settimeout(timeout); s.connect(address); return s
def talk(address, family=AF_INET, timeout=None):
    with tcp(address, family, timeout) as s:
        return s.recv(100).decode()
"""


def profile(sg, networking, filesystem="", flags="", runtime="", misc=""):
    return """
[Networking]
%s
[Filesystem]
Flags = ["tmp"%s]
ReadOnly = ["/usr/**", "/etc/**", "%s/**"]
Exec = ["/usr/**"]
%s
[Runtime]
Flags = ["start", "malloc", "jit", "threads", "fork", "exec", "signals", "timers"%s]
[Misc]
Flags = ["sysinfo"]
%s
""" % (networking, flags, sg.work, filesystem, runtime, misc)


OWN = 'Flags = ["loopback"]\n'
LINKS = ', "links"'
UNIX = 'Flags = ["loopback", "unix"]\n'


def python(sg, text, script, *arguments, **kwargs):
    name = sg.write("script.py", PRELUDE + script)
    return sg.run(text, PYTHON, name, *map(str, arguments), **kwargs)


class Server:
    """A TCP server of the host that says a word to everybody; and a UDP one that answers with it."""

    def __init__(self, word=b"host", family=socket.AF_INET, address="127.0.0.1"):
        self.tcp = socket.socket(family)
        self.tcp.bind((address, 0))
        self.tcp.listen(128)
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((address, self.port))
        self.word, self.seen, self.ended = word, [], []
        for f in (self.serve, self.answer):
            threading.Thread(target=f, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, address = self.tcp.accept()
            except OSError:
                return
            self.seen.append(address)
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        try:
            with peer:
                peer.sendall(self.word)
                peer.shutdown(socket.SHUT_WR)
                peer.settimeout(20)
                self.ended.append(peer.recv(1))
        except OSError as error:
            self.ended.append(error)

    def answer(self):
        while True:
            try:
                data, peer = self.udp.recvfrom(70000)
            except OSError:
                return
            if peer is None:  # shut down
                return
            self.seen.append((data[:100], peer))
            self.udp.sendto(self.word + b":" + data[:100], peer)

    def close(self):
        for s in (self.tcp, self.udp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def allow(*rules):
    return OWN + "Allow = [%s]\n" % ", ".join('"%s"' % r for r in rules)


def test_own_loopback(sg):
    done = python(sg, profile(sg, OWN), """
for family, host in ((AF_INET, "127.0.0.1"), (AF_INET6, "::1"), (AF_INET, "0.0.0.0"), (AF_INET6, "::")):
    s = socket(family); s.bind((host, 0)); s.listen(5)
    c = tcp((host, s.getsockname()[1]), family=family)
    a, peer = s.accept()
    assert peer[:2] == c.getsockname()[:2]
    a.sendall(b"own"); a.close(); print(c.recv(10).decode())
    s = socket(family, SOCK_DGRAM); s.bind((host, 0))
    c = socket(family, SOCK_DGRAM); c.sendto(b"ping", (host, s.getsockname()[1]))
    data, peer = s.recvfrom(10); s.sendto(data + b"!", peer); print(c.recv(10).decode())
# An IPv4-mapped address is the IPv4 one.
s = socket(); s.bind(("127.0.0.1", 0)); s.listen(1)
c = tcp(("::ffff:127.0.0.1", s.getsockname()[1]), family=AF_INET6); print(c.getpeername()[0])
print(attempt(tcp, ("127.0.0.1", 1)), attempt(tcp, ("::1", 1), AF_INET6))
""")
    assert done.stdout.split() == ["own", "ping!"] * 4 + ["::ffff:127.0.0.1", "ECONNREFUSED", "ECONNREFUSED"], done.stderr
    assert [r["object"] for r in done.refusals()] == ["tcp:loopback:1"]  # nobody listens there: said once


def test_nothing_leads_outside(sg, server):
    """Without a rule: the host's loopback is not there, and nothing else is."""
    six = Server(family=socket.AF_INET6, address="::1")
    done = python(sg, profile(sg, OWN), """
port, six = int(sys.argv[1]), int(sys.argv[2])
print(attempt(talk, ("127.0.0.1", port)), attempt(tcp, ("::1", six), AF_INET6))
for host in ("8.8.8.8", "10.1.2.3", "169.254.169.254", "255.255.255.255", "224.0.0.1", "100.64.0.1"):
    print(attempt(tcp, (host, 80)))
print(attempt(tcp, ("2001:db8::1", 80), AF_INET6), attempt(tcp, ("::ffff:8.8.8.8", 80), AF_INET6))
u = socket(AF_INET, SOCK_DGRAM)
print(attempt(u.sendto, b"x", ("8.8.8.8", 53)), attempt(u.connect, ("8.8.8.8", 53)), attempt(u.sendmsg, [b"x"], [], 0, ("8.8.8.8", 53)))
print(attempt(u.sendto, b"x", ("127.0.0.1", port)))
""", server.port, six.port)
    six.close()
    assert done.stdout.split() == (["ECONNREFUSED"] * 2 + ["ENETUNREACH"] * 8 + ["ENETUNREACH"] * 3 + ["1"]), done.stderr
    assert server.seen == [] and six.seen == []
    for name in ("tcp:8.8.8.8:80", "tcp:169.254.169.254:80", "tcp:[2001:db8::1]:80", "udp:8.8.8.8:53"):
        record = done.refusals(name)
        assert record and record[0]["reason"].startswith("no rule allows this address"), name


def test_allowed_port_of_the_host(sg, server):
    other = Server(b"other")
    done = python(sg, profile(sg, allow("tcp:127.0.0.1:%d" % server.port)), """
port, other = int(sys.argv[1]), int(sys.argv[2])
print(talk(("127.0.0.1", port)))                     # blocking
print(talk(("127.0.0.1", port), timeout=10))         # non-blocking underneath
print(talk(("::ffff:127.0.0.1", port), family=AF_INET6))
s = socket(); s.setblocking(False)
print(errno.errorcode[s.connect_ex(("127.0.0.1", port))])
select.select([], [s], [], 10); print(s.getsockopt(SOL_SOCKET, SO_ERROR), s.recv(10).decode() if select.select([s], [], [], 10)[0] else "")
print(attempt(talk, ("127.0.0.1", other)))           # another port is the world's own
s = socket(); s.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1); s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1); s.setsockopt(SOL_SOCKET, SO_RCVBUF, 40000)
flags = s.get_inheritable(); s.connect(("127.0.0.1", port))
print(s.getsockopt(IPPROTO_TCP, TCP_NODELAY), s.getsockopt(SOL_SOCKET, SO_KEEPALIVE), s.getsockopt(SOL_SOCKET, SO_RCVBUF), s.get_inheritable() == flags, s.getblocking())
s = socket(); s.set_inheritable(True); s.connect(("127.0.0.1", port)); print(s.get_inheritable(), s.getpeername()[1] == port)
""", server.port, other.port)
    other.close()
    assert done.stdout.splitlines() == ["host"] * 3 + ["EINPROGRESS", "0 host", "ECONNREFUSED", "1 1 80000 True True", "True True"], done.stderr
    assert other.seen == []
    granted = [r["object"] for r in done.of("grant", operation="connect to")]
    assert granted == ["tcp:127.0.0.1:%d" % server.port] * 6
    assert done.of("grant", operation="connect to")[0]["rule"]["text"] == "tcp:127.0.0.1:%d" % server.port


def test_closing_ends_the_connection(sg, server):
    """No copy is kept: the world's last close is the end for its peer."""
    python(sg, profile(sg, allow("tcp:127.0.0.1:%d" % server.port)), """
s = tcp(("127.0.0.1", int(sys.argv[1]))); s.recv(10); s.close()
time.sleep(0.2); print("closed")
""", server.port)
    assert server.ended == [b""]


def test_denied_beats_allowed(sg, server):
    rules = 'Allow = ["*:127.0.0.1:*"]\nDeny = ["tcp:127.0.0.0/8:%d"]\n' % server.port
    done = python(sg, profile(sg, OWN + rules), """
port = int(sys.argv[1])
print(attempt(talk, ("127.0.0.1", port)), attempt(talk, ("::ffff:127.0.0.1", port), AF_INET6))
u = socket(AF_INET, SOCK_DGRAM); u.settimeout(10); u.sendto(b"x", ("127.0.0.1", port)); print(u.recv(100).decode())
""", server.port)
    assert done.stdout.split() == ["EACCES", "EACCES", "host:x"], done.stderr
    refused = done.refusals("tcp:127.0.0.1:%d" % server.port)
    assert refused and refused[0]["reason"] == "a rule denies it" and refused[0]["rule"]["line"] > 0


def test_udp_outside(sg, server):
    done = python(sg, profile(sg, allow("udp:127.0.0.1:%d" % server.port)), """
port = int(sys.argv[1])
u = socket(AF_INET, SOCK_DGRAM); u.settimeout(10)
u.sendto(b"one", ("127.0.0.1", port)); print(u.recvfrom(100))
u.sendmsg([b"t", b"wo"], [], 0, ("127.0.0.1", port)); print(u.recv(100))
print(attempt(u.sendto, b"x", ("127.0.0.1", port + 1)), attempt(u.sendto, b"x", ("8.8.8.8", port)), attempt(u.connect, ("8.8.8.8", port)))
c = socket(AF_INET, SOCK_DGRAM); c.settimeout(10); c.connect(("127.0.0.1", port)); c.send(b"three"); print(c.recv(100))
c.sendmsg([b"four"]); print(c.recv(100))
print(attempt(c.sendmsg, [b"x"], [], 0, ("8.8.8.8", 53)), attempt(c.sendto, b"x", ("127.0.0.1", 9)))
c.connect(("127.0.0.1", port)); print(attempt(c.connect, ("8.8.8.8", 53)), c.getpeername()[1] == port)
big = b"b" * 60000; c.send(big); print(len(c.recv(70000))); print(attempt(c.sendto, b"b" * 70000, ("127.0.0.1", port)))
""", server.port)
    address = "('127.0.0.1', %d)" % server.port
    assert done.stdout.splitlines() == ["(b'host:one', %s)" % address, "b'host:two'", "ENETUNREACH ENETUNREACH ENETUNREACH",
                                        "b'host:three'", "b'host:four'", "ENETUNREACH ENETUNREACH", "ENETUNREACH True", "105",
                                        "EMSGSIZE"], done.stderr
    assert {d for d, _ in server.seen} == {b"one", b"two", b"three", b"four", b"b" * 100}


def test_datagrams_are_recorded_once(sg, server):
    done = python(sg, profile(sg, allow("udp:127.0.0.1:%d" % server.port)), """
u = socket(AF_INET, SOCK_DGRAM); u.settimeout(10)
for i in range(200): u.sendto(b"x", ("127.0.0.1", int(sys.argv[1]))); u.recv(10)
print(attempt(u.sendto, b"x", ("8.8.8.8", 53)), attempt(u.sendto, b"x", ("8.8.8.8", 53)))
""", server.port)
    assert done.stdout.split() == ["ENETUNREACH"] * 2 and len(server.seen) == 200, done.stderr
    assert 1 <= len(done.of("grant", operation="send to")) <= 2 and len(done.refusals("udp:8.8.8.8:53")) == 2


def test_a_bad_address_is_shown_at_its_place(sg):
    done = sg.run(profile(sg, OWN + 'Allow = ["tcp:example.com:443", "tcp:10.0.0.1/8:80"]'), "/bin/true")
    assert done.status == 125 and re.search(r":4:\d+: error: ", done.stderr) and "10.0.0.0/8" in done.stderr, done.stderr
    done = sg.run(profile(sg, OWN + 'Deny = ["unix:/run/[!a]"]'), "/bin/true")
    assert done.status == 125 and re.search(r":4:\d+: error: ", done.stderr), done.stderr


def test_sendmmsg(sg, server):
    """What the C library's resolver uses: two messages in one call."""
    done = python(sg, profile(sg, allow("udp:127.0.0.1:%d" % server.port)), """
libc = ctypes.CDLL(None, use_errno=True)
class iovec(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
class msghdr(ctypes.Structure): _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.c_void_p), ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int)]
class mmsghdr(ctypes.Structure): _fields_ = [("hdr", msghdr), ("len", ctypes.c_uint)]
def address(host, port): return ctypes.create_string_buffer(struct.pack("=H", AF_INET) + struct.pack("!H", port) + inet_aton(host) + bytes(8), 16)
def call(fd, *messages):
    array = (mmsghdr * len(messages))(); keep = []
    for m, (data, to) in zip(array, messages):
        b = ctypes.create_string_buffer(data, len(data)); v = iovec(ctypes.addressof(b), len(data)); keep += [b, v, to]
        m.hdr = msghdr(ctypes.addressof(to) if to else None, 16 if to else 0, ctypes.addressof(v), 1, None, 0, 0)
    n = libc.sendmmsg(fd, array, len(messages), 0)
    return n, [m.len for m in array], errno.errorcode.get(ctypes.get_errno()) if n < 0 else ""
port = int(sys.argv[1]); good, bad = address("127.0.0.1", port), address("8.8.8.8", 53)
u = socket(AF_INET, SOCK_DGRAM); u.settimeout(10)
print(call(u.fileno(), (b"a", good), (b"bb", good)), u.recv(100), u.recv(100))
print(call(u.fileno(), (b"ccc", good), (b"no", bad)), u.recv(100))
print(call(u.fileno(), (b"no", bad)))
u.connect(("127.0.0.1", port)); print(call(u.fileno(), (b"d", None), (b"e", None)), u.recv(100), u.recv(100))
""", server.port)
    assert done.stdout.splitlines() == ["(2, [1, 2], '') b'host:a' b'host:bb'", "(1, [3, 0], '') b'host:ccc'",
                                        "(-1, [0], 'ENETUNREACH')", "(2, [1, 1], '') b'host:d' b'host:e'"], done.stderr


def test_odd_addresses(sg, server):
    done = python(sg, profile(sg, allow("*:127.0.0.1:%d" % server.port)), """
libc = ctypes.CDLL(None, use_errno=True); port = int(sys.argv[1])
def raw(call, fd, data, length=None):
    r = getattr(libc, call)(fd, data, ctypes.c_long(len(data) if length is None else length))
    return "0" if r == 0 else errno.errorcode[ctypes.get_errno()]
good = struct.pack("=H", AF_INET) + struct.pack("!H", port) + inet_aton("127.0.0.1")
def fresh(family=AF_INET, kind=SOCK_STREAM): fresh.s = socket(family, kind); return fresh.s.fileno()
print(raw("connect", fresh(), good), raw("connect", fresh(), good + bytes(7)), raw("connect", fresh(), good + bytes(8)), raw("connect", fresh(), good + bytes(100)))
print(raw("connect", fresh(), good, 200), raw("connect", fresh(), good, -1), raw("connect", fresh(), b"", 0), raw("connect", fresh(), b"\\x02", 1))
libc.connect.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_long]
print("0" if libc.connect(fresh(), 8, 16) == 0 else errno.errorcode[ctypes.get_errno()], "0" if libc.connect(fresh(), None, 16) == 0 else errno.errorcode[ctypes.get_errno()])
print("0" if libc.connect(999, good + bytes(8), 16) == 0 else errno.errorcode[ctypes.get_errno()], "0" if libc.connect(1, good + bytes(8), 16) == 0 else errno.errorcode[ctypes.get_errno()])
# A dissolved association could be made anew: an outside stream keeps what it has, a datagram socket is the world's own again.
s = tcp(("127.0.0.1", port)); print("0" if libc.connect(s.fileno(), bytes(16), 16) == 0 else errno.errorcode[ctypes.get_errno()])
s = socket(AF_INET, SOCK_DGRAM); s.connect(("127.0.0.1", port)); print("0" if libc.connect(s.fileno(), bytes(16), 16) == 0 else errno.errorcode[ctypes.get_errno()], attempt(s.send, b"x"), attempt(s.getpeername))
s = socket(AF_INET, SOCK_DGRAM); print("0" if libc.connect(s.fileno(), bytes(16), 16) == 0 else errno.errorcode[ctypes.get_errno()])
""", server.port)
    assert done.stdout.splitlines() == ["EINVAL EINVAL 0 0", "EINVAL EINVAL EINVAL EINVAL", "EFAULT EFAULT", "EBADF ENOTSOCK",
                                        "EACCES", "0 EDESTADDRREQ ENOTCONN", "0"], (done.status, done.stdout, done.stderr)


BACK = """
import asyncio
closed, port = int(sys.argv[1]), int(sys.argv[2])
def own(kind=SOCK_STREAM):
    l = socket(AF_INET, kind); l.bind(("127.0.0.1", 0)); kind == SOCK_STREAM and l.listen(8); return l
l = own(); d = own(SOCK_DGRAM)
def from_own(s):
    a, _ = l.accept(); a.sendall(b"own"); a.close(); return s.recv(10).decode()
# A refused connection outside, then one to the world's own, then the other way round.
s = socket(); s.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1); s.setsockopt(SOL_SOCKET, SO_RCVBUF, 50000); s.set_inheritable(True)
print(attempt(s.connect, ("127.0.0.1", closed))); s.connect(l.getsockname())
print(from_own(s), s.getsockopt(IPPROTO_TCP, TCP_NODELAY), s.getsockopt(SOL_SOCKET, SO_RCVBUF), s.get_inheritable(), s.getblocking())
s = socket(); print(attempt(s.connect, ("127.0.0.1", 1)), attempt(s.connect, ("127.0.0.1", closed))); s.connect(("127.0.0.1", port)); print(s.recv(10).decode())
# The same without blocking, watched from before the first connect.
for first, second in ((closed, None), (1, port)):
    e = select.epoll(); s = socket(); s.setblocking(False); e.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
    errno.errorcode.get(s.connect_ex(("127.0.0.1", first))); e.poll(5); print(errno.errorcode[s.getsockopt(SOL_SOCKET, SO_ERROR) or errno.ECONNREFUSED], end=" ")
    s.connect_ex(("127.0.0.1", second) if second else l.getsockname())
    if not second: a, _ = l.accept(); a.sendall(b"own"); a.close()
    end = time.monotonic() + 10; seen = 0
    while time.monotonic() < end and not seen & select.EPOLLIN:
        for n, m in e.poll(1): seen |= m if n == s.fileno() else 0
    print(s.recv(10).decode(), s.getblocking())
# Connected to the world's own, or busy: what connect says then.
s = tcp(l.getsockname()); print(attempt(s.connect, ("127.0.0.1", port)), attempt(tcp(("127.0.0.1", port)).connect, l.getsockname()))
# Datagrams change their peer at every connect.
u = socket(AF_INET, SOCK_DGRAM); u.setsockopt(IPPROTO_IP, IP_TTL, 33); u.settimeout(10); libc = ctypes.CDLL(None)
for i in range(3):
    u.connect(("127.0.0.1", port)); u.send(b"%d" % i); print(u.recv(20).decode(), end=" ")
    u.connect(d.getsockname()); u.send(b"in"); print(d.recv(10).decode(), u.getsockopt(IPPROTO_IP, IP_TTL), end=" ")
    u.connect(("127.0.0.1", port)); print(libc.connect(u.fileno(), bytes(16), 16), attempt(u.send, b"x"))
    u.sendto(b"free", d.getsockname()); print(d.recv(10).decode())
# A copy that was made before keeps what it was; one that is made afterwards is the new one.
s = socket(); before = os.dup(s.fileno()); s.connect(("127.0.0.1", port)); after = os.dup(s.fileno())
print(attempt(socket(fileno=before).getpeername), socket(fileno=after).getpeername()[1] == port)
"""


def test_back_to_the_worlds_own(sg, server):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        closed = s.getsockname()[1]
        done = python(sg, profile(sg, allow("*:127.0.0.1:%d" % server.port, "tcp:127.0.0.1:%d" % closed)), BACK, closed, server.port)
    size = 100000
    assert done.stdout.splitlines() == [
        "ECONNREFUSED", "own 1 %d True True" % size, "ECONNREFUSED ECONNREFUSED", "host", "ECONNREFUSED own False",
        "ECONNREFUSED host False", "EISCONN EISCONN",
        *sum(([("host:%d in 33 0 EDESTADDRREQ" % i), "free"] for i in range(3)), []), "ENOTCONN True"], (done.stdout, done.stderr)


def test_fast_open_and_options(sg, server):
    """Nothing on an outside socket turns it to another peer."""
    done = python(sg, profile(sg, allow("*:127.0.0.1:%d" % server.port)), """
port = int(sys.argv[1])
for s in (socket(), tcp(("127.0.0.1", port))):
    print(attempt(s.sendto, b"x", 0x20000000, ("127.0.0.1", port)), attempt(s.sendmsg, [b"x"], [], 0x20000000, ("127.0.0.1", port)))
    for level, option, value in ((IPPROTO_IP, IP_OPTIONS, b"\\x83\\x07\\x04" + inet_aton("8.8.8.8") + b"\\0"), (SOL_SOCKET, SO_BINDTODEVICE, b"lo\\0"), (SOL_SOCKET, 36, struct.pack("i", 1)),
                                 (IPPROTO_TCP, 30, struct.pack("i", 1)), (IPPROTO_IP, IP_TRANSPARENT, struct.pack("i", 1)), (IPPROTO_IP, IP_ADD_MEMBERSHIP, inet_aton("224.0.0.1") + inet_aton("127.0.0.1"))):
        print(attempt(s.setsockopt, level, option, value))
s = socket(AF_INET6, SOCK_DGRAM); s.connect(("::ffff:127.0.0.1", port))
print(attempt(s.setsockopt, IPPROTO_IPV6, 57, b"\\0\\2\\2\\1" + bytes(20)))
print(attempt(s.sendmsg, [b"x"], [(IPPROTO_IPV6, 57, b"\\0\\2\\2\\1" + bytes(20))]), attempt(s.sendmsg, [b"x"], [(IPPROTO_IPV6, 50, bytes(20))]))
print(attempt(s.sendmsg, [b"y"], [(IPPROTO_IPV6, 67, struct.pack("i", 0))]))
""", server.port)
    # Of ENOPROTOOPT and EPERM either is a refusal; none may say 0 (None).
    words = done.stdout.split()
    assert "None" not in words and len(words) == 2 * 8 + 4 and words[-1] == "1", (done.status, done.stdout, done.stderr)
    assert set(words[:-1]) <= {"EPERM", "ENOPROTOOPT", "EACCES"}, words


def test_listening_on_the_host(sg):
    """A Listen rule puts the socket on the host's port, and nothing else does."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    text = profile(sg, OWN + 'Listen = ["tcp:127.0.0.1:%d"]\n' % port)
    process, log = sg.start(text, PYTHON, sg.write("script.py", PRELUDE + """
port = int(sys.argv[1])
own = socket(); own.bind(("127.0.0.1", port + 1 if port < 65000 else port - 1)); own.listen(1)
s = socket(); s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); s.bind(("127.0.0.1", port)); s.listen(5)
assert s.getsockname() == ("127.0.0.1", port)
print("up", flush=True)
a, peer = s.accept(); print(peer[1]); a.sendall(b"world"); a.close()
s.settimeout(10); a, peer = s.accept(); a.sendall(b"again"); a.close()
threading.Thread(target=lambda: (lambda c: (c[0].sendall(b"self"), c[0].close()))(s.accept())).start()
print(talk(("127.0.0.1", port)))                     # its own port, by the host's loopback
print(attempt(tcp, ("8.8.8.8", 80)))
"""), str(port), stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        mine = s.getsockname()[1]
        assert s.recv(10) == b"world"
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        assert s.recv(10) == b"again"
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", port + 1 if port < 65000 else port - 1)) != 0
    out, _ = process.communicate(timeout=30)
    assert out.decode().split() == [str(mine), "self", "ENETUNREACH"]
    with open(log, encoding="utf-8") as f:
        records = [json.loads(line) for line in f]
    assert [r["object"] for r in records if r.get("operation") == "listen on"] == ["tcp:127.0.0.1:%d" % port]
    assert "tcp:127.0.0.1:%d" % mine in [r["object"] for r in records if r.get("operation") == "accept from"]


def test_incoming(sg):
    """`incoming`: free ports of the host from 1024 up, and the world's own loopback as ever."""
    process, _ = sg.start(profile(sg, 'Flags = ["incoming"]\n'), PYTHON, sg.write("script.py", PRELUDE + """
own = socket(); own.bind(("127.0.0.1", 0)); own.listen(1)
s = socket(); s.bind(("0.0.0.0", 0)); s.listen(5)
print(own.getsockname()[1], s.getsockname()[1], flush=True)
a, _ = s.accept(); a.sendall(b"world"); a.close()
c = socket(); c.bind(("0.0.0.0", 0)); c.connect(own.getsockname()); own.accept()[0].sendall(b"own"); print(c.recv(10).decode())
print(attempt(socket().bind, ("0.0.0.0", 80)), attempt(tcp, ("8.8.8.8", 80)))
"""), stdout=subprocess.PIPE)
    own, port = map(int, process.stdout.readline().split())
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        assert s.recv(10) == b"world"
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", own)) != 0
    out, _ = process.communicate(timeout=30)
    assert out.decode().split() == ["own", "None", "ENETUNREACH"]  # port 80 is the world's own


def test_no_listener_by_the_back_door(sg, server):
    """A socket given to connect does not become a listener of the host, whatever state it is in."""
    done = python(sg, profile(sg, allow("tcp:127.0.0.1:%d" % server.port, "tcp:127.0.0.1:1")), """
port = int(sys.argv[1])
s = tcp(("127.0.0.1", port)); s.recv(10); s.shutdown(SHUT_RDWR); print(attempt(s.listen, 1))
s = socket(); s.setblocking(False); s.connect_ex(("127.0.0.1", 1)); print(attempt(s.listen, 1))
s = tcp(("127.0.0.1", port)); print(attempt(s.bind, ("0.0.0.0", 0)))
""", server.port)
    words = done.stdout.split()
    assert words[0] in ("EACCES", "EINVAL") and words[1] in ("EACCES", "None") and words[2] in ("EACCES", "EINVAL"), (done.status, done.stdout, done.stderr)


def test_many_connections(sg, server):
    done = python(sg, profile(sg, allow("tcp:127.0.0.1:%d" % server.port)), """
port = int(sys.argv[1])
for i in range(1000):
    s = socket(); s.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0)); s.connect(("127.0.0.1", port)); s.close()
own = socket(); own.bind(("127.0.0.1", 0)); own.listen(64)
held = [(tcp(own.getsockname()), own.accept()[0]) for i in range(200)]
print("done", len(os.listdir("/proc/self/fd")) < 450)
""", server.port)
    assert done.stdout.split() == ["done", "True"], done.stderr
    assert len(done.of("grant", operation="connect to")) == 1000


def test_supervisor_keeps_no_copy(sg, server):
    """After many connections the supervisor holds no more descriptors than before."""
    process, _ = sg.start(profile(sg, allow("tcp:127.0.0.1:%d" % server.port)), PYTHON, sg.write("script.py", PRELUDE + """
port = int(sys.argv[1])
def burst(n):
    for i in range(n):
        s = tcp(("127.0.0.1", port)); s.recv(10); s.close()
burst(5); print("ready", flush=True); sys.stdin.readline(); burst(100); print("ready", flush=True); sys.stdin.readline()
"""), str(server.port), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    counts = []
    for _ in range(2):
        assert process.stdout.readline() == b"ready\n"
        counts.append(descriptors_of_supervisor(process))
        process.stdin.write(b"\n")
        process.stdin.flush()
    process.communicate(timeout=30)
    if os.getuid() != 0:
        cannot("the supervisor's descriptors can be counted by root only")
    assert counts[0] is not None and abs(counts[0] - counts[1]) < 20, counts


def descriptors_of_supervisor(process):
    """Of the supervisor below `process` (setpriv executes, so the pid is the front end's)."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as f:
                fields = f.read().rsplit(")", 1)
            if fields[0].endswith("(sg-supervisor") and int(fields[1].split()[1]) == process.pid:
                return len(os.listdir("/proc/%s/fd" % pid))
        except OSError:
            continue
    return None


def test_waiting_starves_nobody(sg, server):
    """A blocking accept, and connects that hang, hold up their callers alone."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    held = [socket.create_connection(full.getsockname()) for _ in range(1)]
    done = python(sg, profile(sg, allow("tcp:127.0.0.1:%d" % server.port, "tcp:127.0.0.1:%d" % full.getsockname()[1])), """
port, full = int(sys.argv[1]), int(sys.argv[2])
own = socket(); own.bind(("127.0.0.1", 0)); own.listen(0)
threads = [threading.Thread(target=attempt, args=(tcp, ("127.0.0.1", full)), daemon=True) for i in range(20)]
threads += [threading.Thread(target=attempt, args=(tcp, own.getsockname()), daemon=True) for i in range(20)]
for t in threads: t.start()
start = time.monotonic()
for i in range(20): print(talk(("127.0.0.1", port)))
print(time.monotonic() - start < 5)
s = socket(); s.setsockopt(SOL_SOCKET, SO_SNDTIMEO, struct.pack("ll", 0, 200000)); start = time.monotonic()
print(attempt(s.connect, ("127.0.0.1", full)), 0.1 < time.monotonic() - start < 5)
# A handler runs, though the call would wait for long.
got = []
signal.signal(signal.SIGALRM, lambda *a: (_ for _ in ()).throw(InterruptedError(errno.EINTR, "alarm"))); signal.setitimer(signal.ITIMER_REAL, 0.1)
print(attempt(tcp, ("127.0.0.1", full)), time.monotonic() - start < 8)
sys.stdout.flush(); os._exit(0)
""", server.port, full.getsockname()[1])
    full.close()
    for s in held:
        s.close()
    assert done.stdout.split() == ["host"] * 20 + ["True", "EINPROGRESS", "True", "EINTR", "True"], (done.status, done.stdout, done.stderr)


def test_a_socket_whose_connect_failed_late(sg):
    """What failed after a wait can be connected again, and fails for its own reason again: to outside, and on the own loopback."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    held = socket.create_connection(full.getsockname())
    port, begun = full.getsockname()[1], re.compile(":%04X 02 " % full.getsockname()[1])

    def shut():
        deadline = time.monotonic() + 20
        while not begun.search(Path("/proc/net/tcp").read_text()) and time.monotonic() < deadline:  # until somebody is in SYN_SENT
            time.sleep(0.01)
        full.shutdown(socket.SHUT_RDWR)
        full.close()

    shutting = threading.Thread(target=shut)
    shutting.start()
    script = """
if sys.argv[1] == "own":
    l = socket(); l.bind(("127.0.0.1", 0)); l.listen(0); address = l.getsockname(); held = socket(); held.connect(address)
    threading.Timer(0.4, lambda: (l.shutdown(SHUT_RDWR), l.close())).start()
else:
    address = ("127.0.0.1", int(sys.argv[1]))
s = socket()
start = time.monotonic(); print(attempt(s.connect, address), time.monotonic() - start > 0.3)  # its first packet was dropped
print(attempt(s.connect, address), s.getsockopt(SOL_SOCKET, SO_ERROR))
l = socket(); l.bind(address); l.listen(1)
if sys.argv[1] == "own": print(attempt(s.connect, address), l.accept()[0].sendall(b"anew"), s.recv(4).decode())
"""
    outside = python(sg, profile(sg, allow("tcp:127.0.0.1:%d" % port)), script, port)
    held.close()
    shutting.join()
    assert outside.stdout.split() == ["ECONNREFUSED", "True", "ECONNREFUSED", "0"], (outside.stdout, outside.stderr)
    own = python(sg, profile(sg, allow("tcp:127.0.0.1:1")), script, "own")
    assert own.stdout.split() == ["ECONNREFUSED", "True", "ECONNREFUSED", "0", "None", "None", "anew"], (own.stdout, own.stderr)


def test_own_connections_that_wait(sg):
    """On the own loopback what waits is over when it is accepted, the first as well as those after it; what must not wait does not."""
    done = python(sg, profile(sg, OWN), """
def waits(l):
    held = [tcp(l.getsockname())]; s = socket(); done = []
    def connect(): s.connect(l.getsockname()); s.sendall(b"late"); done.append(1)
    t = threading.Thread(target=connect); t.start()
    start = time.monotonic()
    other = socket(); other.bind(("127.0.0.1", 0)); other.listen(5)
    for i in range(20): a, b = tcp(other.getsockname()), other.accept()[0]; a.sendall(b"x"); assert b.recv(1) == b"x"
    print(time.monotonic() - start < 1, done)
    l.accept(); a = l.accept()[0]; t.join(20); print(a.recv(4).decode(), done, s.getpeername() == l.getsockname())
for i in range(2):
    l = socket(); l.bind(("127.0.0.1", 0)); l.listen(0); waits(l)
l = socket(); l.bind(("127.0.0.1", 0)); l.listen(0); l.setblocking(False)
s = socket(); s.setblocking(False)
print(attempt(l.accept), attempt(s.connect, l.getsockname()), attempt(s.connect, l.getsockname()), attempt(s.connect, l.getsockname()))
select.select([l], [], [], 10); print(l.accept()[1] == s.getsockname(), attempt(socket().accept), attempt(s.accept))
""")
    assert done.stdout.splitlines() == ["True []", "late [1] True"] * 2 + ["EAGAIN EINPROGRESS None EISCONN", "True EINVAL EINVAL"], (
        done.status, done.stdout, done.stderr)


def test_a_full_unix_listener(sg):
    """Its clients wait until it accepts; one that does not wait gets EAGAIN."""
    done = python(sg, profile(sg, UNIX), """
l = socket(AF_UNIX); l.bind("/tmp/full"); l.listen(0); first = socket(AF_UNIX); first.connect("/tmp/full")
n = socket(AF_UNIX); n.setblocking(False); print(attempt(n.connect, "/tmp/full"))
def client():
    s = socket(AF_UNIX); s.connect("/tmp/full"); s.sendall(b"x"); s.recv(1)
threads = [threading.Thread(target=client) for i in range(20)]
for t in threads: t.start()
for i in range(21): l.accept()[0].sendall(b"y")
for t in threads: t.join(20)
print(sum(t.is_alive() for t in threads))
""")
    assert done.stdout.split() == ["EAGAIN", "0"], (done.status, done.stdout, done.stderr)


def test_sending_odd_things(sg, server):
    """MSG_ZEROCOPY would send memory of the supervisor's; a full queue makes its sender wait, and no other."""
    done = python(sg, profile(sg, UNIX + 'Allow = ["udp:127.0.0.1:%d"]\n' % server.port), """
s = socket(); s.bind(("127.0.0.1", 0)); s.listen(1); c = tcp(s.getsockname()); a = s.accept()[0]
c.setsockopt(SOL_SOCKET, 60, 1); print(attempt(c.sendmsg, [b"x" * 100000], [], 0x4000000))
x, y = socketpair(AF_UNIX, SOCK_STREAM)
t = threading.Thread(target=lambda: print(x.sendmsg([b"z" * 3000000]) > 100000)); t.start()
u, v = socketpair(AF_UNIX, SOCK_DGRAM); v.setsockopt(SOL_SOCKET, SO_SNDTIMEO, struct.pack("ll", 0, 100000)); n = 0
try:
    while True: v.sendmsg([b"q"]); n += 1
except OSError as e: print(errno.errorcode[e.errno], n > 0)
y.settimeout(0.2)
while t.is_alive(): attempt(y.recv, 1 << 20) if select.select([y], [], [], 0.2)[0] else None
while select.select([y], [], [], 0)[0]: y.recv(1 << 20)
y.close(); signal.signal(signal.SIGPIPE, lambda *a: print("SIGPIPE")); print(attempt(x.sendmsg, [b"x"])); print(attempt(x.sendmsg, [b"x"], [], MSG_NOSIGNAL))
""")
    assert done.stdout.split() == ["ENOBUFS", "EAGAIN", "True", "True", "SIGPIPE", "EPIPE", "EPIPE"], (done.status, done.stdout, done.stderr)


def test_killed_while_waiting(sg):
    """A caller that is killed in a waiting call is forgotten; the session ends as ever."""
    done = python(sg, profile(sg, OWN), """
own = socket(); own.bind(("127.0.0.1", 0)); own.listen(1)
for i in range(10):
    pid = os.fork()
    if pid == 0: own.accept(); os._exit(1)
    time.sleep(0.01); os.kill(pid, signal.SIGKILL); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
c = tcp(own.getsockname()); print(own.accept()[0].fileno() > 2)
""")
    assert done.stdout.split() == ["-9"] * 10 + ["True"], done.stderr


def test_watched_before_it_is_swapped(sg, server):
    """A socket that an epoll instance knows already (Go, node and others add it first) is watched after the swap too."""
    done = python(sg, profile(sg, allow("*:127.0.0.1:%d" % server.port)), """
port = int(sys.argv[1]); pad = [os.dup(0) for i in range(40)]
for use in (3, 5, 60, 200):
    e, f = select.epoll(), select.epoll()
    s = socket(); os.dup2(s.fileno(), use); s.close(); s = socket(fileno=use); s.setblocking(False)
    e.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET); f.register(s, 0)
    print(s.connect_ex(("127.0.0.1", port)) == errno.EINPROGRESS, end=" ")
    events = {}; end = time.monotonic() + 10
    while time.monotonic() < end and not events.get(use, 0) & select.EPOLLIN:
        for n, m in e.poll(1): events[n] = events.get(n, 0) | m
    print(sorted(events) == [use], s.recv(10).decode()); f.modify(s, select.EPOLLIN); e.unregister(s); print(f.poll(1)[0][0] == use); s.close()
import asyncio
class P(asyncio.DatagramProtocol):
    def datagram_received(self, data, peer): got.set_result(data.decode())
async def main():
    global got
    got = asyncio.get_running_loop().create_future()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(P, local_addr=("0.0.0.0", 0))
    transport.sendto(b"loop", ("127.0.0.1", port)); print(await asyncio.wait_for(got, 10))
asyncio.run(main())
""", server.port)
    assert done.stdout.split() == ["True", "True", "host", "True"] * 4 + ["host:loop"], (done.status, done.stdout, done.stderr)


# --- races ---

def test_address_race(sg, server):
    """The address changes in memory while the call is decided: what is used is what was decided."""
    other = Server(b"other")
    done = python(sg, profile(sg, allow("tcp:127.0.0.1:%d" % server.port) + 'Deny = ["tcp:127.0.0.1:%d"]\n' % other.port), """
libc = ctypes.CDLL(None, use_errno=True); good, bad = int(sys.argv[1]), int(sys.argv[2])
def bytes_of(port): return struct.pack("=H", AF_INET) + struct.pack("!H", port) + inet_aton("127.0.0.1") + bytes(8)
memory = ctypes.create_string_buffer(bytes_of(good), 16); stop = False
a, b = struct.pack("!H", good), struct.pack("!H", bad)
def flip():
    while not stop:
        memory[2] = b[0:1]; memory[3] = b[1:2]; memory[2] = a[0:1]; memory[3] = a[1:2]
t = threading.Thread(target=flip); t.start(); words = {}
sys.setswitchinterval(1e-5)
for i in range(1500):
    s = socket(); r = libc.connect(s.fileno(), memory, 16)
    w = s.recv(10).decode() if r == 0 else "refused"
    words[w] = words.get(w, 0) + 1
stop = True; t.join(); print("other" in words, words.get("host", 0) > 0)
""", server.port, other.port)
    other.close()
    assert done.stdout.split() == ["False", "True"], (done.status, done.stdout, done.stderr)
    assert other.seen == []


def test_descriptor_race(sg, server):
    """A sibling puts an outside datagram socket over the number: no call reaches what was not decided for it."""
    other = Server(b"other")
    done = python(sg, profile(sg, allow("udp:127.0.0.1:%d" % server.port)), """
good, bad = int(sys.argv[1]), int(sys.argv[2])
outside = socket(AF_INET, SOCK_DGRAM); outside.connect(("127.0.0.1", good))
inside = socket(AF_INET, SOCK_DGRAM); spare = inside.fileno(); keep = os.dup(spare); out = os.dup(outside.fileno()); stop = False
def flip():
    while not stop:
        os.dup2(out, spare); os.dup2(keep, spare)
t = threading.Thread(target=flip); t.start(); sys.setswitchinterval(1e-5)
for i in range(1500):
    attempt(inside.sendto, b"probe", ("127.0.0.1", bad)); attempt(inside.connect, ("127.0.0.1", bad)); attempt(inside.send, b"sent")
stop = True; t.join(); print("done")
""", server.port, other.port)
    other.close()
    assert done.stdout.split() == ["done"], done.stderr
    assert other.seen == []


# --- unix sockets ---

@pytest.fixture
def host_unix(sg):
    path = os.path.join(sg.work, "host.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(16)
    seen = []

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            seen.append(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            peer.sendall(b"host")
            peer.close()
    threading.Thread(target=serve, daemon=True).start()
    yield path, seen
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()




def test_own_unix_sockets(sg):
    done = python(sg, profile(sg, UNIX), """
os.mkdir("/tmp/d"); os.chdir("/tmp/d")
for name in ("/tmp/s", "s", "\\0own", "\\0" + "n" * 107):
    for kind in (SOCK_STREAM, SOCK_SEQPACKET):
        l = socket(AF_UNIX, kind); l.bind(name); l.listen(1); c = socket(AF_UNIX, kind); c.connect(name)
        a, _ = l.accept(); a.sendall(b"unix"); print(c.recv(10).decode(), end=" "); l.close()
        if name[0] != "\\0": os.unlink(name)
s = socket(AF_UNIX, SOCK_DGRAM); s.bind("/tmp/dgram"); c = socket(AF_UNIX, SOCK_DGRAM); c.bind("/tmp/client")
c.sendto(b"dgram", "/tmp/dgram"); data, peer = s.recvfrom(10); s.sendto(data, peer); print(peer, c.recv(10).decode())
print(oct(os.stat("/tmp/dgram").st_mode & 0o777))
# Descriptors are passed on.
r, w = os.pipe(); s = socket(AF_UNIX); s.bind("/tmp/rights"); s.listen(1); c = socket(AF_UNIX); c.connect("/tmp/rights"); a, _ = s.accept()
send_fds(c, [b"fd"], [w]); data, fds, _, _ = recv_fds(a, 10, 4); os.write(fds[0], b"through"); print(data.decode(), os.read(r, 10).decode())
print(attempt(c.sendmsg, [b"x"], [(SOL_SOCKET, 2, struct.pack("iii", 1, 0, 0))]))
print(attempt(socket(AF_UNIX).connect, "/tmp/none"), attempt(socket(AF_UNIX).connect, "/etc/passwd"), attempt(socket(AF_UNIX).connect, "\\0none"))
""")
    assert done.stdout.split() == ["unix"] * 8 + ["/tmp/client", "dgram", "0o755", "fd", "through", "EPERM", "ENOENT", "ECONNREFUSED",
                                                  "ECONNREFUSED"], (done.status, done.stdout, done.stderr)


def test_own_unix_socket_in_a_folder_of_the_host(sg):
    text = profile(sg, UNIX, filesystem='ReadWrite = ["%s/**"]\nDenyWrite = ["%s/no*"]' % (sg.cwd, sg.cwd), flags=', "write"')
    done = python(sg, text, """
s = socket(AF_UNIX); s.bind("made.sock"); s.listen(1); c = socket(AF_UNIX); c.connect(os.getcwd() + "/made.sock"); s.accept(); print("ok")
print(attempt(socket(AF_UNIX).bind, "no.sock"), attempt(socket(AF_UNIX).bind, "made.sock"))
""")
    assert done.stdout.split() == ["ok", "EACCES", "EADDRINUSE"], (done.status, done.stdout, done.stderr)
    assert os.path.exists(os.path.join(sg.cwd, "made.sock")) and not os.path.exists(os.path.join(sg.cwd, "no.sock"))


def test_unix_socket_of_the_host(sg, host_unix):
    path, seen = host_unix
    script = """
path = sys.argv[1]
def say(p, kind=SOCK_STREAM):
    with socket(AF_UNIX, kind) as s:
        s.connect(p); return s.recv(10).decode()
os.symlink(path, "/tmp/link"); os.chdir(os.path.dirname(path))
for p in (path, "/tmp/link", os.path.basename(path), "/proc/self/cwd/" + os.path.basename(path)): print(attempt(say, p))
u = socket(AF_UNIX, SOCK_DGRAM); print(attempt(u.sendto, b"x", path), attempt(u.sendmsg, [b"x"], [], 0, path))
a, b = socketpair(AF_UNIX, SOCK_DGRAM); print(attempt(a.sendto, b"x", path), attempt(a.sendmsg, [b"x"], [], 0, path))
"""
    refused = python(sg, profile(sg, UNIX, flags=LINKS), script, path)
    assert refused.stdout.split() == ["EACCES"] * 8, refused.stdout + refused.stderr
    assert seen == [] and len(refused.refusals(path)) == 8
    allowed = python(sg, profile(sg, UNIX + 'Allow = ["unix:%s"]\n' % path, flags=LINKS), script, path)
    assert allowed.stdout.split()[:4] == ["host"] * 4, allowed.stdout + allowed.stderr
    assert set(allowed.stdout.split()[4:]) == {"EPROTOTYPE"}
    assert {int.from_bytes(c[4:8], "little") for c in seen} == {sg.uid if sg.uid else seen_zero(seen)}
    denied = python(sg, profile(sg, UNIX + 'Allow = ["unix:%s/*"]\nDeny = ["unix:%s"]\n' % (sg.work, path), flags=LINKS), script, path)
    assert denied.stdout.split()[:4] == ["EACCES"] * 4, denied.stdout + denied.stderr


def seen_zero(seen):
    """Root's world is nobody on the host: the id is one of the range that stands for 0, and never 0."""
    uid = int.from_bytes(seen[0][4:8], "little")
    assert uid >= 0x7f000000
    return uid


def test_abstract_socket_of_the_host(sg):
    name = "\0sg-test-%d" % os.getpid()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(name)
        s.listen(4)
        script = 'print(attempt(socket(AF_UNIX).connect, "\\0" + sys.argv[1]))'
        assert python(sg, profile(sg, UNIX), script, name[1:]).stdout == "ECONNREFUSED\n"
        done = python(sg, profile(sg, UNIX + 'Allow = ["unix:@%s"]\n' % name[1:]), script, name[1:])
        assert done.stdout == "None\n", done.stderr


# --- names ---

DNS_SERVER = r"""
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 53))
print("up", flush=True)
log = open(sys.argv[1], "ab", buffering=0)
while True:
    data, peer = s.recvfrom(4096)
    name, at = [], 12
    while data[at]:
        name.append(data[at + 1:at + 1 + data[at]]); at += 1 + data[at]
    kind = struct.unpack("!H", data[at + 1:at + 3])[0]
    log.write(b".".join(name).lower() + b" %d\n" % kind)
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton("10.77.0.1") if kind == 1 else b""
    s.sendto(data[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, 1 if answer else 0, 0, 0) + data[12:at + 5] + answer, peer)
"""

NAMES = """
import socket, sys
def look(name):
    try: print(name, sorted({a[4][0] for a in socket.getaddrinfo(name, 5000, type=socket.SOCK_STREAM)}))
    except socket.gaierror: print(name, "none")
def say(name):
    try:
        with socket.create_connection((name, 5000), 10) as s: print(s.recv(10).decode())
    except OSError as e: print(e.strerror if e.strerror else e)
look("localhost"); look("good.test"); say("good.test"); look("bad.test"); look("secret-data.evil.test")
try: print(socket.socket().connect(("10.77.0.2", 5000)))
except OSError as e: print(e.strerror)
"""


def in_private_network(sg, log, *command):
    """Runs a command in mount and network namespaces of its own: its resolv.conf names a server that answers."""
    conf, dns = sg.write("resolv.conf", "nameserver 127.0.0.1\n"), sg.write("dns.py", DNS_SERVER)
    web = sg.write("web.py", 'import socket\ns=socket.socket(); s.bind(("10.77.0.1",5000)); s.listen(9)\n'
                             'while 1:\n a,_=s.accept(); a.sendall(b"named"); a.close()\n')
    script = """set -e
ip link set lo up; unshare --net sleep 50 & far=$!
n=0; while [ "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/self/ns/net)" ] && [ $n -lt 200 ]; do sleep 0.01; n=$((n+1)); done
ip link add near type veth peer name far netns $far; ip addr add 10.77.0.9/24 dev near; ip link set near up
nsenter -t $far -n sh -c 'ip addr add 10.77.0.1/24 dev far; ip link set far up'
mount --bind %s /etc/resolv.conf
%s %s %s >%s.up & dns=$!; nsenter -t $far -n %s %s & web=$!; trap 'kill $dns $web $far' EXIT
n=0; while [ ! -s %s.up ] && [ $n -lt 200 ]; do sleep 0.02; n=$((n+1)); done
"$@"
""" % (conf, PYTHON, dns, log, log, PYTHON, web, log)
    return ["unshare", "--mount", "--net", "sh", "-c", script, "sh"] + list(command)


def test_names(sg):
    if os.getuid() != 0 or shutil.which("ip") is None:
        cannot("a private network needs root and ip(8)")
    asked = os.path.join(sg.work, "asked")
    text = profile(sg, 'Flags = ["dns"]\nAllow = ["tcp:good.test:5000"]\n')
    record = os.path.join(sg.home, "names.jsonl")
    command = sg.command([sg.program, "run", "--record", record, "-p", sg.profile(text), "--", PYTHON, sg.write("n.py", NAMES)])
    done = subprocess.run(in_private_network(sg, asked, *command), capture_output=True, text=True, timeout=60, cwd=sg.cwd,
                          env=sg.environment())
    lines = done.stdout.splitlines()
    assert lines[0].startswith("localhost ['127.0.0.1'"), (done.status, done.stdout, done.stderr)
    assert "good.test ['10.77.0.1']" in lines and "named" in lines, (done.status, done.stdout, done.stderr)
    assert "bad.test none" in lines and "secret-data.evil.test none" in lines
    assert lines[-1] == "Network is unreachable"
    with open(asked, "rb") as f:
        names = {line.split()[0] for line in f}
    assert names == {b"good.test"}, names
    with open(record, encoding="utf-8") as f:
        looked = {(r["kind"], r["object"]) for r in map(json.loads, f) if r.get("operation") == "look up"}
    assert {("grant", "good.test"), ("refusal", "bad.test"), ("refusal", "secret-data.evil.test")} <= looked, looked


PROGRAMS = [
    ("curl", ["-sS", "http://localhost:%d/"]),
    ("wget", ["-qO-", "http://localhost:%d/"]),
    ("node", ["-e", "fetch('http://localhost:%d/').then(r=>r.text()).then(console.log)"]),
    ("node", ["-e", "require('http').get('http://127.0.0.1:%d/',r=>r.pipe(process.stdout))"]),
    ("perl", ["-e", "use IO::Socket::INET; $s=IO::Socket::INET->new('127.0.0.1:%d') or die $!; print $s qq(GET / HTTP/1.0\\r\\n\\r\\n); print <$s>"]),
    ("bash", ["-c", "exec 3<>/dev/tcp/127.0.0.1/%d; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"]),
    ("nc", ["127.0.0.1", "%d"]),
    ("git", ["ls-remote", "http://localhost:%d/"]),
]


@pytest.mark.parametrize("name,arguments", PROGRAMS, ids=["%s%d" % (p[0], i) for i, p in enumerate(PROGRAMS)])
def test_programs(sg, name, arguments):
    program = shutil.which(name, path="/usr/bin:/bin")
    if program is None:
        cannot_optional(name)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"0" * 40 + b"\trefs/heads/main\n" if "info/refs" in self.path else b"from the host\n"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Both(http.server.ThreadingHTTPServer):
        """At ::1 and 127.0.0.1: node takes the first that the host's /etc/hosts has for localhost, and no other."""
        address_family = socket.AF_INET6

    with Both(("::", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        port = web.server_address[1]
        text = profile(sg, 'Flags = ["loopback", "dns"]\nAllow = ["tcp:127.0.0.1:%d", "tcp:[::1]:%d"]\n' % (port, port),
                       runtime=', "ipc", "scheduling", "descriptors"')
        done = sg.run(text, program, *(a.replace("%d", str(port)) for a in arguments), stdin=b"GET / HTTP/1.0\r\n\r\n")
        web.shutdown()
    assert "from the host" in done.stdout or "refs/heads/main" in done.stdout, (done.stdout, done.stderr)


def cannot_optional(name):
    pytest.skip("%s is not installed" % name)
