"""Hosts behind a link: in network namespaces that the test makes, so nothing leaves this machine.

`near` is the host of the sessions, 10.77.0.9 and fd77::9, with a name server of the test on its loopback; `far` is
another host, 10.77.0.1, 10.77.0.2 and fd77::1, which notes whatever reaches it.
"""
import json
import os
import shutil
import subprocess

import pytest

from conftest import cannot
from test_network import PRELUDE, PYTHON, profile

FAR = r"""
import socket, sys, threading
log = open(sys.argv[1], "ab", buffering=0)
def serve(s):
    while True:
        a, peer = s.accept(); log.write(b"tcp %s %d\n" % (a.getsockname()[0].encode(), a.getsockname()[1])); a.sendall(b"far"); a.close()
def answer(s):
    while True:
        data, peer = s.recvfrom(1000); log.write(b"udp %s %d %s\n" % (s.getsockname()[0].encode(), s.getsockname()[1], data)); s.sendto(b"far:" + data, peer)
for family, host in ((socket.AF_INET, "10.77.0.1"), (socket.AF_INET, "10.77.0.2"), (socket.AF_INET6, "fd77::1")):
    for port in (5000, 5001):
        s = socket.socket(family); s.setsockopt(1, 2, 1); s.bind((host, port)); s.listen(64); threading.Thread(target=serve, args=(s,)).start()
        u = socket.socket(family, socket.SOCK_DGRAM); u.bind((host, port)); threading.Thread(target=answer, args=(u,)).start()
log.write(b"up\n")
"""

# Names: good.test has both families, short.test lives for a second, six.test only IPv6, alias.test is a CNAME of hidden.test,
# inward.test leads to the loopback, link.test to a link-local address; whatever else is asked has 10.77.0.2.
DNS = r"""
import socket, struct, sys, threading
log = open(sys.argv[1], "ab", buffering=0)
A = {b"inward.test": "127.0.0.1", b"link.test": "169.254.169.254", b"good.test": "10.77.0.1", b"short.test": "10.77.0.1", b"hidden.test": "10.77.0.1", b"alias.test": None, b"six.test": None, b"both.test": "10.77.0.1", b"both2.test": "10.77.0.1", b"later.test": "10.77.0.50"}
def packed(name): return b"".join(bytes([len(l)]) + l for l in name.split(b".")) + b"\0"
def reply(data):
    name, at = [], 12
    while data[at]:
        name.append(data[at + 1:at + 1 + data[at]]); at += 1 + data[at]
    name = b".".join(name).lower(); kind = struct.unpack("!H", data[at + 1:at + 3])[0]
    log.write(b"dns %s %d\n" % (name, kind))
    ttl, answers = 1 if name == b"short.test" else 300, []
    def add(kind, body, owner=b"\xc0\x0c"): answers.append(owner + struct.pack("!HHIH", kind, 1, ttl, len(body)) + body)
    if name == b"alias.test" and kind in (1, 28):
        add(5, packed(b"hidden.test"))
        if kind == 1: add(1, socket.inet_aton("10.77.0.1"), packed(b"hidden.test"))
    elif kind == 1 and A.get(name, "10.77.0.2"):
        add(1, socket.inet_aton(A.get(name, "10.77.0.2")))
    elif kind == 28 and name in (b"good.test", b"six.test"):
        add(28, socket.inet_pton(socket.AF_INET6, "fd77::1"))
    elif kind == 12:
        add(12, packed(b"secret.test"))
    elif kind == 33:
        add(33, struct.pack("!HHH", 0, 0, 5000) + packed(b"hidden.test"))
    return data[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, len(answers), 0, 0) + data[12:at + 5] + b"".join(answers)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 53))
log.write(b"dns up\n")
while True:
    data, peer = u.recvfrom(4096); u.sendto(reply(data), peer)
"""

SCRIPT = """set -e
log=$1 ping="$2"; shift 2
ip link set lo up
unshare --net sleep 300 & far=$!
n=0; while [ "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/self/ns/net)" ] && [ $n -lt 500 ]; do sleep 0.01; n=$((n+1)); done
ip link add near type veth peer name far netns $far
ip addr add 10.77.0.9/24 dev near; ip addr add fd77::9/64 dev near nodad; ip link set near up
nsenter -t $far -n sh -c 'ip link set lo up; ip addr add 10.77.0.1/24 dev far; ip addr add 10.77.0.2/24 dev far; ip addr add fd77::1/64 dev far nodad; ip link set far up'
printf '%%s' "$ping" >/proc/sys/net/ipv4/ping_group_range
mount --bind %(conf)s /etc/resolv.conf
%(python)s %(dns)s $log & dns=$!
nsenter -t $far -n %(python)s %(far)s $log & web=$!
trap 'kill $dns $web $far 2>/dev/null' EXIT
n=0; while [ "$(grep -c up $log 2>/dev/null || true)" != 2 ] && [ $n -lt 500 ]; do sleep 0.02; n=$((n+1)); done
"$@"
"""


class Link:
    def __init__(self, sg):
        self.sg, self.log = sg, os.path.join(sg.work, "far.log")
        self.ping = "0 4294967294"
        self.script = SCRIPT % {"conf": sg.write("resolv.conf", "nameserver 127.0.0.1\n"), "python": PYTHON,
                                "dns": sg.write("dns.py", DNS), "far": sg.write("far.py", FAR)}

    def around(self, command):
        return ["unshare", "--mount", "--net", "sh", "-c", self.script, "sh", self.log, self.ping] + list(command)

    def run(self, text, *command, timeout=240, **kwargs):
        """Runs a command in a world on `near`. Returns (what came of it, its records, what reached far and the name server)."""
        self.sg.count += 1
        if os.path.exists(self.log):
            os.unlink(self.log)
        record = os.path.join(self.sg.home, "far%d.jsonl" % self.sg.count)
        inside = self.sg.command([self.sg.program, "run", "--record", record, "-p", self.sg.profile(text), "--", *command])
        done = subprocess.run(self.around(inside), capture_output=True, text=True, timeout=timeout, cwd=self.sg.cwd,
                              env=self.sg.environment(), **kwargs)
        records = []
        if os.path.exists(record):
            with open(record, encoding="utf-8", errors="surrogateescape") as f:
                records = [json.loads(line) for line in f]
        with open(self.log, "rb") as f:
            reached = [line.decode() for line in f.read().splitlines() if not line.endswith(b"up")]
        return done, records, reached

    def python(self, text, script, *arguments, **kwargs):
        return self.run(text, PYTHON, self.sg.write("far_in.py", PRELUDE + script), *map(str, arguments), **kwargs)


@pytest.fixture
def link(sg):
    if os.getuid() != 0 or shutil.which("ip") is None:
        cannot("network namespaces of the test's own need root and ip(8)")
    return Link(sg)


def rules(*allow, deny=(), flags=("loopback",)):
    quoted = [", ".join('"%s"' % r for r in rows) for rows in (flags, allow, deny)]
    return "Flags = [%s]\nAllow = [%s]\nDeny = [%s]\n" % tuple(quoted)


def test_it_may_ask_for_its_own_address(sg, link):
    """getaddrinfo(3) and ping(8) connect a datagram socket only to see where it would send from. It carries nothing."""
    done, records, reached = link.python(profile(sg, rules("tcp:10.77.0.1:5000")), """
u = socket(AF_INET, SOCK_DGRAM); d = socket(AF_INET, SOCK_DGRAM); d.bind(("127.0.0.1", 0)); to = ("10.77.0.1", 5000)
u.connect(to); print(u.getsockname()[0], u.getpeername() == to, attempt(u.send, b"escape"), attempt(u.sendto, b"escape", to), attempt(u.sendmsg, [b"escape"], [], 0, to))
print(attempt(u.recv, 10, MSG_DONTWAIT), attempt(u.setsockopt, SOL_SOCKET, 27, 0), attempt(u.setsockopt, SOL_SOCKET, 44, 0))
print(attempt(u.connect, ("10.77.0.1", 5001)), attempt(u.connect, ("10.77.0.2", 5000)), attempt(u.connect, ("10.77.0.1", 0)))
u.connect(d.getsockname()); u.send(b"own"); print(d.recv(10).decode())
print(talk(to))
""")
    words = done.stdout.splitlines()
    assert words[0] == "10.77.0.9 True EPIPE ENETUNREACH EPIPE", (done.stdout, done.stderr)
    assert words[1] == "EAGAIN EPERM EPERM" and words[2] == "ENETUNREACH ENETUNREACH None", words
    assert words[3:] == ["own", "far"], words
    assert reached == ["tcp 10.77.0.1 5000"], reached
    assert any("asks for its own address" in r["reason"] for r in records if r["kind"] == "grant")


def test_the_same_where_datagrams_are_allowed(sg, link):
    done, _, reached = link.python(profile(sg, rules("tcp:10.77.0.1:5000", "udp:10.77.0.2:5000")), """
u = socket(AF_INET, SOCK_DGRAM); u.settimeout(10)
u.connect(("10.77.0.1", 5000)); u.connect(("10.77.0.2", 5000)); u.send(b"connected"); print(u.recv(20).decode())
u.connect(("10.77.0.1", 5000)); print(attempt(u.send, b"escape")); u.sendto(b"to", ("10.77.0.2", 5000)); print(u.recv(20).decode())
""")
    assert done.stdout.splitlines() == ["far:connected", "EPIPE", "far:to"], (done.stdout, done.stderr)
    assert reached == ["udp 10.77.0.2 5000 connected", "udp 10.77.0.2 5000 to"], reached


def ping_profile(sg, *allow):
    networking = rules(*allow, deny=["icmp:10.77.0.2"], flags=("loopback", "ping"))
    return profile(sg, networking)


def need_ping():
    ping = shutil.which("ping", path="/usr/bin:/bin")
    if ping is None:
        cannot("there is no ping(8)")
    return ping


def test_ping(sg, link):
    """ping(8), unmodified, under the flag; and what no rule allows is refused with a reason."""
    ping = need_ping()
    text = ping_profile(sg, "icmp:10.77.0.1")
    done, records, _ = link.run(text, "/bin/sh", "-c", """
%(ping)s -n -c 2 -i 0.2 -W 5 10.77.0.1; echo "four $?"; %(ping)s -n -c 1 -W 5 fd77::1; echo "six $?"
%(ping)s -n -c 1 -W 2 127.0.0.1 >/dev/null; echo "own $?"; %(ping)s -n -c 1 -W 2 10.77.0.2 2>&1; echo "other $?" """ % {"ping": ping})
    lines = done.stdout.splitlines()
    assert {"four 0", "six 0", "own 0"} <= set(lines), (done.stdout, done.stderr)
    assert "2 packets transmitted, 2 received" in done.stdout
    assert any(line.startswith("other ") and line != "other 0" for line in lines), done.stdout
    refused = [r for r in records if r["kind"] == "refusal" and "10.77.0.2" in r["object"]]
    assert refused and refused[0]["reason"] == "a rule denies it", refused
    assert any(r["kind"] == "grant" and r["object"] == "icmp:10.77.0.1" for r in records)


def test_ping_where_the_host_does_not_let(sg, link):
    ping = need_ping()
    link.ping = "1 0"
    text = ping_profile(sg, "icmp:10.77.0.1")
    done, records, _ = link.run(text, ping, "-n", "-c", "1", "-W", "1", "10.77.0.1")
    assert done.returncode not in (0, 125), (done.stdout, done.stderr)
    assert any(r["kind"] == "refusal" and "ping_group_range" in r["reason"] for r in records), records
    for value, pings in (("1 0", False), ("0 4294967294", True)):
        link.ping = value
        os.unlink(link.log)  # what came up before would count, and the script would wait for it in vain
        told = subprocess.run(link.around(sg.command([sg.program, "doctor"])), capture_output=True, text=True, timeout=240,
                              cwd=sg.cwd, env=sg.environment()).stdout
        assert ("The flag ping reaches no other host" not in told) == pings, told


def test_raw_sockets_do_not_stand_in_for_ping(sg, link):
    """Whoever tries a raw socket first (the JDK, busybox) finds it refused, and goes on with what reaches outside."""
    done, _, reached = link.python(ping_profile(sg, "icmp:10.77.0.1", "tcp:10.77.0.1:5000"), """
print(attempt(socket, AF_INET, SOCK_RAW, IPPROTO_ICMP), attempt(socket, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6))
s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP); s.settimeout(10)
s.sendto(b"\\x08\\0\\0\\0\\0\\0\\0\\1data", ("10.77.0.1", 0)); print(s.recv(100)[8:])
s.connect(("10.77.0.1", 0)); s.send(b"\\x08\\0\\0\\0\\0\\0\\0\\2more"); print(s.recv(100)[8:])
print(attempt(s.sendto, b"\\x08\\0\\0\\0\\0\\0\\0\\1data", ("10.77.0.2", 0)))
""")
    assert done.stdout.splitlines() == ["EPERM EPERM", "b'data'", "b'more'", "EACCES"], (done.stdout, done.stderr)


# --- names ---

def test_names_give_their_addresses_and_nothing_else(sg, link):
    """A and AAAA; CNAME, SRV and PTR give nothing to what they mention; inward answers are withheld; a short TTL lasts a minute."""
    done, records, reached = link.python(profile(sg, rules("tcp:good.test:5000", "tcp:alias.test:5000", "tcp:short.test:5000", "tcp:inward.test:*",
                                                           "tcp:link.test:*", flags=("dns",))), """
def ask(name, kind):
    u = socket(AF_INET, SOCK_DGRAM); u.settimeout(10); u.connect(("127.0.0.1", 53))
    u.send(b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\\0" + struct.pack("!HH", kind, 1))
    data = u.recv(2000); return data[3] & 15, struct.unpack("!H", data[6:8])[0]
def look(name):
    try: return sorted({a[4][0] for a in getaddrinfo(name, 5000, type=SOCK_STREAM)})
    except gaierror: return "none"
print(look("good.test"), look("alias.test"), look("hidden.test"))
print(ask("1.0.77.10.in-addr.arpa", 12), ask("good.test", 33), ask("hidden.test", 1))
print(look("inward.test"), look("link.test"))
print(talk(("10.77.0.1", 5000)), talk(("fd77::1", 5000), AF_INET6), attempt(tcp, ("10.77.0.1", 5001)), attempt(tcp, ("10.77.0.2", 5000)))
print(look("short.test")); time.sleep(2.5); print(talk(("10.77.0.1", 5000)))
""")
    words = done.stdout.splitlines()
    assert words[0] == "['10.77.0.1', 'fd77::1'] ['10.77.0.1'] none", (words, done.stderr)
    # A service record of an allowed name is shown, and the name that it mentions stays closed.
    assert words[1] == "(3, 0) (0, 1) (3, 0)", words
    assert "127.0.0.1" not in words[2] and "169.254" not in words[2], words
    assert words[3] == "far far ENETUNREACH ENETUNREACH" and words[5] == "far", words
    asked = {line.split()[1] for line in reached if line.startswith("dns ")}
    assert asked <= {"good.test", "alias.test", "short.test", "inward.test", "link.test"}, asked


def test_a_short_answer_lasts_alone(sg, link):
    """Only short.test (one second) opens the address: it still does after that, since an answer lives a minute at least."""
    done, _, _ = link.python(profile(sg, rules("tcp:short.test:5000", flags=("dns",))), """
print(attempt(tcp, ("10.77.0.1", 5000))); getaddrinfo("short.test", 5000); time.sleep(2.5); print(talk(("10.77.0.1", 5000)))
""")
    assert done.stdout.splitlines() == ["ENETUNREACH", "far"], (done.stdout, done.stderr)


def test_a_denied_name_takes_its_addresses_along(sg, link):
    """both2.test is denied: it is not looked up, and what both names share is refused once it is known to be its."""
    done, records, reached = link.python(profile(sg, rules("tcp:both.test:5000", deny=["tcp:both2.test:5000"], flags=("dns",))), """
def look(name):
    try: return sorted({a[4][0] for a in getaddrinfo(name, 5000, type=SOCK_STREAM)})
    except gaierror: return "none"
print(look("both.test"), talk(("10.77.0.1", 5000)), look("both2.test"))
""")
    assert done.stdout.splitlines() == ["['10.77.0.1'] far none"], (done.stdout, done.stderr)
    assert not any("both2.test" in line for line in reached), reached


def test_outgoing_leaves_out_this_host_and_what_is_beside_it(sg, link):
    done, records, reached = link.python(profile(sg, rules(flags=("outgoing",))), """
print(talk(("10.77.0.2", 5001)), talk(("fd77::1", 5000), AF_INET6), talk(("::ffff:10.77.0.1", 5000), AF_INET6))
for host in ("10.77.0.9", "169.254.169.254", "169.254.1.1", "127.0.0.1"): print(attempt(tcp, (host, 5000)), end=" ")
for host in ("fd77::9", "fe80::1", "fd00:ec2::254", "::1"): print(attempt(tcp, (host, 5000), AF_INET6), end=" ")
u = socket(AF_INET, SOCK_DGRAM); u.settimeout(10); u.sendmsg([b"x"], [], 0, ("10.77.0.1", 5000)); print(u.recv(10).decode())
""")
    words = done.stdout.splitlines()
    assert words[0] == "far far far", (done.stdout, done.stderr)
    assert words[1].split()[-1] == "far:x" and words[1].split()[3] == "ECONNREFUSED" and words[1].split()[7] == "ECONNREFUSED", words
    assert {words[1].split()[i] for i in (0, 1, 2, 4, 5, 6)} <= {"ENETUNREACH", "EINVAL"}, words


CLIENTS = {
    "node": (["-e", "require('net').connect(5000,'good.test').on('data',d=>{console.log(String(d));process.exit()})"], "node", None),
    "java": (["-Xmx64m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "@"], "java", ("Far.java", """
import java.net.*; import java.io.*;
public class Far { public static void main(String[] a) throws Exception { try (Socket s = new Socket("good.test", 5000)) { System.out.println(new String(s.getInputStream().readAllBytes())); } } }
""")),
    "go": (["@"], None, ("far.go", """
package main
import ("fmt"; "io"; "net")
func main() { c, err := net.Dial("tcp", "good.test:5000"); if err != nil { panic(err) }; b, _ := io.ReadAll(c); fmt.Println(string(b)) }
""")),
    "musl": (["@"], None, ("far.c", """
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>
int main(void) { struct addrinfo hint = {.ai_socktype = 1}, *list; char text[9] = ""; if (getaddrinfo("good.test", "5000", &hint, &list)) return 3;
for (struct addrinfo *a = list; a; a = a->ai_next) { int s = socket(a->ai_family, 1, 0); if (!connect(s, a->ai_addr, a->ai_addrlen) && read(s, text, 8) > 0) { puts(text); return 0; } } return 4; }
""")),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_names_for_other_resolvers(sg, link, name):
    """musl's own, Go's own (no C library), node's and the JVM's, all unmodified."""
    arguments, program, source = CLIENTS[name]
    tool = shutil.which({"musl": "musl-gcc"}.get(name, name), path="/usr/bin:/bin")
    if tool is None:
        cannot("there is no " + name)
    path = sg.write(*source) if source else ""
    built = os.path.join(sg.cwd, "built")
    if name == "go":
        subprocess.run([tool, "build", "-o", built, path], check=True, timeout=240,
                       env=dict(os.environ, CGO_ENABLED="0", GOCACHE=os.path.join(sg.work, "go"), HOME=sg.home))
    elif name == "musl":
        subprocess.run([tool, "-static", "-o", built, path], check=True)
    text = profile(sg, rules("tcp:good.test:5000", flags=("dns",)), runtime=', "ipc", "scheduling", "descriptors"',
                   filesystem='').replace('Exec = ["/usr/**"]', 'Exec = ["/usr/**", "%s/**"]' % sg.cwd)
    command = [program and tool or built] + [path if a == "@" else a for a in arguments if program or a != "@"]
    done, _, reached = link.run(text, *command)
    assert done.stdout.split() == ["far"], (done.stdout, done.stderr)
    assert {line.split()[1] for line in reached if line.startswith("dns ")} == {"good.test"}


# Run around the session: gives this host the address once the name was asked, with a server there.
LATER = """
cwd=$1; shift
"$@" & run=$!
wait_for() { n=0; while [ ! -e $1 ] && [ $n -lt 2000 ]; do sleep 0.02; n=$((n+1)); done; }
wait_for $cwd/asked
ip addr add 10.77.0.50/24 dev near
%(python)s -c 'if True:
    import socket, sys
    s = socket.socket(); s.bind(("10.77.0.50", 5000)); s.listen(); open(sys.argv[1] + "/there", "w").close()
    while True: s.accept()[0].sendall(b"host")' $cwd & server=$!
wait $run; status=$?
kill $server; exit $status
"""


@pytest.mark.parametrize("allow, expected", (("tcp:later.test:5000", "ENETUNREACH"), ("tcp:10.77.0.50:5000", "host")))
def test_a_name_does_not_open_what_became_an_address_of_this_host(sg, link, allow, expected):
    """Whoever answers for an allowed name could foresee the address; a rule that names it is another thing."""
    program = sg.write("later.py", PRELUDE + """
print(getaddrinfo("later.test", 5000, AF_INET, SOCK_STREAM)[0][4][0])
open("asked", "w").close()
deadline = time.monotonic() + 50
while not os.path.exists("there") and time.monotonic() < deadline:
    time.sleep(0.02)
print(attempt(talk, ("10.77.0.50", 5000)))
""")
    text = profile(sg, rules(allow, "tcp:later.test:5001", flags=("loopback", "dns")), filesystem='ReadWrite = ["%s/**"]' % sg.cwd)
    inside = sg.command([sg.program, "run", "-p", sg.profile(text), "--", PYTHON, program])
    done = subprocess.run(link.around(["sh", "-c", LATER % {"python": PYTHON}, "sh", sg.cwd] + inside), capture_output=True, text=True,
                          timeout=120, cwd=sg.cwd, env=sg.environment())
    assert done.stdout.split() == ["10.77.0.50", expected], (done.stdout, done.stderr)
