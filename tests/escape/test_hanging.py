"""A server that does not answer: who asked it waits, and nobody else in the session does."""
import fcntl
import json
import os
import pty
import select
import subprocess
import termios
import time

import pytest

from live_conftest import cannot
from test_escape import PROGRAMS, SECRET, programs, tree, writing_profiles  # noqa: F401

DEADLINE = 40


def line_of(stream, seconds=DEADLINE):
    """The next line of an unbuffered stream, or what there is of it at its end."""
    text, end = b"", time.monotonic() + seconds
    while not text.endswith(b"\n"):
        if not select.select([stream], [], [], max(0, end - time.monotonic()))[0]:
            raise AssertionError("nothing came but %r" % text)
        piece = os.read(stream.fileno(), 1)
        if not piece:
            break
        text += piece
    return text.decode()


class Server:
    """tests/escape/fuse_server.c, mounted at `remote` in a folder."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "remote")
        os.mkdir(self.folder)
        self.process = subprocess.Popen([os.path.join(PROGRAMS, "fuse_server"), self.folder], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=0)
        assert line_of(self.process.stdout) == "ready\n"

    def held(self):
        line = line_of(self.process.stdout)
        assert line.startswith("held "), line
        return line.split(" ", 1)[1].strip()

    def release(self):
        self.process.stdin.write(b"release\n")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            subprocess.run(["umount", "-l", self.folder], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def server(tree):
    if os.getuid() != 0 or not os.path.exists("/dev/fuse"):
        cannot("mounting a file system for everybody takes root and /dev/fuse")
    made = Server(tree.rw)
    yield made
    made.close()


def decided(tree):
    return writing_profiles(tree)["decided"].replace('Exec = ["/usr/**"', 'Exec = ["%s/**", "/usr/**"' % tree.rw)


# What hangs: what the server says of it, and how. (A change holds its folder in the kernel: nobody looks a name up there meanwhile.)
ATTEMPTS = {
    "lookup": ("lookup hang", "open('remote/hang')"),
    "lookup-on-the-way": ("lookup hang", "open('remote/hang/below/file', 'w')"),
    "lookup-by-descriptor": ("lookup hang", "os.open('hang', os.O_RDWR, dir_fd=os.open('remote', os.O_PATH))"),
    "lookup-by-link": ("lookup hang", "os.symlink('remote/hang', 'link'); open('link')"),
    "lookup-to-change": ("lookup hang", "os.chmod('remote/hang', 0o600)"),
    "open": ("open slow", "open('remote/slow')"),
    "create": ("create absent", "open('remote/folder/absent', 'x')"),
    "truncate": ("open slow", "os.truncate('remote/slow', 0)"),
    "mkdir": ("mkdir absent", "os.mkdir('remote/folder/absent')"),
    "mknod": ("mknod absent", "os.mkfifo('remote/folder/absent')"),
    "symlink": ("symlink absent", "os.symlink('x', 'remote/folder/absent')"),
    "unlink": ("unlink slow", "os.unlink('remote/folder/slow')"),
    "rmdir": ("rmdir inner", "os.rmdir('remote/folder/inner')"),
    "rename": ("rename slow", "os.rename('remote/folder/slow', 'remote/folder/absent')"),
    "chmod": ("setattr slow", "os.chmod('remote/slow', 0o600)"),
    "execute": ("lookup hang", "os.execv('remote/hang', ['hang'])"),
    "execute-slow": ("open slow", "os.execv('remote/slow', ['slow'])"),
}

# A child hangs; everybody else works on: the same calls elsewhere, a refusal, the same server, an execution. Then it is killed.
SCRIPT = """
import os, signal, subprocess, sys
def begin():
    child = os.fork()
    if child == 0:
        try: ATTEMPT
        finally: os._exit(1)
    return child
children = [begin() for _ in range(COUNT)]
print("begun", flush=True)
sys.stdin.readline()
for i in range(20):
    with open("made-%d" % i, "w") as f: f.write("x")
    os.rename("made-%d" % i, "moved"); os.unlink("moved")
os.mkdir("own"); os.chmod("own", 0o700); os.rmdir("own")
print(open("open.txt").read().strip(), open("remote/hello").read().strip())
try: open("secret.key"); print("escaped")
except PermissionError: print("refused")
print(subprocess.run(["remote/tool"], capture_output=True, text=True).stdout.strip(), flush=True)
sys.stdin.readline()
for child in children: os.kill(child, signal.SIGKILL)
print(*{os.waitpid(child, 0)[1] for child in children}, flush=True)
"""


def begin(tree, server, attempt, count=1):
    process, log = tree.sg.start(decided(tree), "/usr/bin/python3", "-c", SCRIPT.replace("ATTEMPT", attempt).replace("COUNT", str(count)),
                                 cwd=tree.rw, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert line_of(process.stdout) == "begun\n", process.stderr.read()
    return process, log, [server.held() for _ in range(count)]


def end(process):
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


@pytest.mark.parametrize("kind", list(ATTEMPTS))
def test_others_go_on(tree, server, kind):
    what, attempt = ATTEMPTS[kind]
    process, log, held = begin(tree, server, attempt)
    try:
        assert held == [what]
        process.stdin.write(b"go\n")
        assert [line_of(process.stdout) for _ in range(3)] == ["OPEN hello\n", "refused\n", "tool\n"]
        process.stdin.write(b"end\n")
        assert line_of(process.stdout) == "9\n"  # killed while it waits
        assert process.wait(DEADLINE) == 0
    finally:
        end(process)
    with open(log, encoding="utf-8") as f:
        records = [json.loads(line) for line in f]
    assert records[-1]["kind"] == "session-end"
    assert any(r["kind"] == "refusal" and r["object"] == os.path.join(tree.rw, "secret.key") for r in records)


def test_many_hang(tree, server):
    process, _, held = begin(tree, server, "open('remote/hang-%d' % os.getpid())", 60)
    try:
        assert len(set(held)) == 60
        process.stdin.write(b"go\n")
        assert [line_of(process.stdout) for _ in range(3)] == ["OPEN hello\n", "refused\n", "tool\n"]
        process.stdin.write(b"end\n")
        assert line_of(process.stdout) == "9\n" and process.wait(DEADLINE) == 0
    finally:
        end(process)


# More wait than there are workers, and many more come and are killed while they wait for one.
CROWD = """
import os, signal, sys, time
told = os.pipe()
def begin():
    child = os.fork()
    if child == 0:
        os.write(told[1], b".")
        try: open("remote/hang-%d" % os.getpid())
        finally: os._exit(1)
    os.read(told[0], 1)
    return child
for _ in range(300): begin()
print("begun", flush=True); sys.stdin.readline()
for _ in range(700):
    child = begin(); time.sleep(0.003); os.kill(child, signal.SIGKILL); os.waitpid(child, 0)
print("killed", flush=True); sys.stdin.readline()
"""


def test_who_was_killed_while_it_waited_leaves_nothing(tree, server):
    """A caller that is gone before a worker had time for it has no descriptors of the supervisor's any more."""
    process, _ = tree.sg.start(decided(tree), "/usr/bin/python3", "-c", CROWD, cwd=tree.rw, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, bufsize=0)
    try:
        assert line_of(process.stdout) == "begun\n"
        supervisor = [pid for pid in descendants(process.pid) if comm(pid) == "sg-supervisor"][0]
        for _ in range(256):
            server.held()
        process.stdin.write(b"go\n")
        assert line_of(process.stdout) == "killed\n"
        assert len(os.listdir("/proc/%d/fd" % supervisor)) < 2 * (256 + 256) + 400  # and what it keeps of callers
        session = [s for s in map(json.loads, tree.sg.cli("ps", "--json").stdout.splitlines()) if s["pid"] in descendants(process.pid)]
        assert tree.sg.cli("stop", session[0]["session"]).returncode == 0
    finally:
        end(process)


def comm(pid):
    with open("/proc/%d/comm" % pid, encoding="ascii") as f:
        return f.read().strip()


@pytest.mark.parametrize("kind", ["lookup", "create", "rename", "execute"])
def test_the_session_is_ended(tree, server, kind):
    """`stop` does not wait for the server, nor does the end of what began the session."""
    process, log, _ = begin(tree, server, ATTEMPTS[kind][1])
    try:
        session = [s for s in map(json.loads, tree.sg.cli("ps", "--json").stdout.splitlines()) if s["pid"] in descendants(process.pid)]
        assert tree.sg.cli("stop", session[0]["session"]).returncode == 0
        assert process.wait(DEADLINE) != 0
    finally:
        end(process)
    with open(log, encoding="utf-8") as f:
        assert json.loads(f.readlines()[-1])["kind"] == "session-end"


def descendants(pid):
    found = [pid]
    for parent in found:
        try:
            with open("/proc/%d/task/%d/children" % (parent, parent), encoding="ascii") as f:
                found += [int(child) for child in f.read().split()]
        except OSError:
            pass
    return found


def test_the_keyboard_ends_who_hangs(tree, server):
    """Ctrl-C reaches a program whose call waits for a server; the shell that started it goes on."""
    master, slave = pty.openpty()
    process, _ = tree.sg.start(decided(tree), "/bin/sh", "-c", "trap : INT; cat remote/hang; echo status $?; cat open.txt",
                               cwd=tree.rw, stdin=slave, stdout=slave, stderr=slave,
                               preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)))
    os.close(slave)
    try:
        assert server.held() == "lookup hang"
        os.write(master, b"\x03")
        text = b""
        try:
            while True:
                assert select.select([master], [], [], DEADLINE)[0], text
                piece = os.read(master, 65536)
                if not piece:
                    break
                text += piece
        except OSError:
            pass
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"status 130" in text and b"OPEN" in text, text


def test_an_answer_that_comes_late(tree, server):
    """What is decided after the server has answered is decided and done as ever."""
    script = """
import os
try: text = open("remote/hang").read()
except OSError as e: text = repr(e)
print(text.strip())
try: open("remote/hang", "w"); print("written")
except OSError as e: print(e.strerror)
"""
    process, log = tree.sg.start(decided(tree), "/usr/bin/python3", "-c", script, cwd=tree.rw, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, stdin=subprocess.PIPE, bufsize=0)
    try:
        assert server.held() == "lookup hang"
        server.release()
        assert line_of(process.stdout) == "hello\n"
        assert line_of(process.stdout) == "Input/output error\n" and process.wait(DEADLINE) == 0
    finally:
        end(process)
    with open(log, encoding="utf-8") as f:
        grants = [r for r in map(json.loads, f) if r["kind"] == "grant" and r["object"] == os.path.join(tree.rw, "remote/hang")]
    assert grants and all(g["rule"]["key"] in ("ReadWrite", "LogOnWrite") for g in grants)


@pytest.mark.parametrize("kind", ["files", "stress"])
def test_what_is_refused_is_refused_beside_such_a_server(tree, server, kind):
    """The suite's own attempts, all handled by workers now."""
    from test_escape import held
    if kind == "files":
        held(tree.run(writing_profiles(tree)["decided"], "files", "moves", tree.rw), refused=40, works=3)
        held(tree.run(writing_profiles(tree)["decided"], "files", "modes", tree.rw), refused=60, works=3)
    else:
        for name in ("secret.key", "keep.conf"):
            with open(os.path.join(tree.rw, name), encoding="ascii") as f:
                assert f.read() in (SECRET, "KEEP\n")
        profile = decided(tree)
        done = tree.sg.shell(profile, "cd %s; for i in 1 2 3 4 5 6 7 8; do (j=0; while [ $j -lt 10 ]; do echo $j > w$i; cat secret.key; "
                                      "mv w$i v$i; j=$((j+1)); done) & done; wait; cat v8" % tree.rw, options=["--quiet"])
        assert done.status == 0 and done.stdout == "9\n", (done.stdout[-500:], done.stderr[-500:])
        assert len(done.refusals(os.path.join(tree.rw, "secret.key"))) + sum(r["coalesced"] for r in done.of("flood")) >= 80
        assert [r["seq"] for r in done.records] == list(range(1, len(done.records) + 1))


def test_what_was_decided_before_a_cut_is_not_given_after_it(tree, server):
    """Every answer that gives a descriptor looks at the generation of the world: a cut in the middle of a call makes it fail."""
    script = "import os\nfor _ in range(2):\n try: print(open('remote/hang').read().strip(), flush=True)\n except OSError as e: print(e.errno, flush=True)"
    process, _ = tree.sg.start(decided(tree), "/usr/bin/python3", "-c", script, cwd=tree.rw, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    try:
        assert server.held() == "lookup hang"
        session = [s for s in map(json.loads, tree.sg.cli("ps", "--json").stdout.splitlines()) if s["pid"] == process.pid]
        assert tree.sg.cli("stop", "--network", session[0]["session"]).returncode == 0
        server.release()
        assert line_of(process.stdout) == "11\n"  # EAGAIN: decided before, not given after
        assert line_of(process.stdout) == "hello\n" and process.wait(DEADLINE) == 0
    finally:
        end(process)
