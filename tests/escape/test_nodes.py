"""FIFOs and sockets of the host that lie where a world may read: a helper outside sits behind each."""
import os
import socket
import subprocess

import pytest

from test_escape import SECRET, held, lines, programs, reading_profiles, tree  # noqa: F401


def heard(path):
    """Whether somebody has the FIFO open for reading."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        return True
    except OSError:  # ENXIO
        return False


def speak(tree, name):
    """A FIFO that says the secret, and keeps nobody's ends but the one that says it."""
    path = os.path.join(tree.ro, name)
    os.mkfifo(path)
    os.chmod(path, 0o666)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, SECRET.encode() * 40)
    return path, fd


def unread(fd):
    try:
        return len(os.read(fd, 4096))
    except BlockingIOError:
        return 0


def bounded(profile, *bounds):
    return profile.replace("[Runtime]", "Bounds = [%s]\n[Runtime]" % ", ".join('"%s"' % b for b in bounds), 1)


def listening(tree, kind):
    """Ways in which what may be read is told from FIFOs: (profile, mediated)."""
    ro = tree.ro
    reading = tree.profile().replace('"/usr/**"', '"/usr/**", "%s/**"' % ro, 1)
    writing = 'ReadOnly = ["%s/**", "/usr/**"' % ro, 'ReadWrite = ["%s/sub/*.txt", "%s/*.new"]\n' % (ro, ro)
    return {
        "overlay": lambda: (bounded(reading, "overlay"), False),
        "overlay-and-landlock": lambda: (bounded(reading, "landlock", "overlay"), False),
        "overlay-and-covers": lambda: (bounded(reading_profiles(tree)["covers"][0], "overlay"), False),
        "partly-writable": lambda: (bounded(tree.profile(writing[1]).replace('ReadOnly = ["/usr/**"', writing[0]), "overlay"), True),
        "sockets-by-wildcard": lambda: (bounded(reading, "overlay") + '[Networking]\nFlags = ["unix"]\nAllow = ["unix:%s/*"]\n' % ro, True),
        "decided": lambda: (reading_profiles(tree)["deny-globs"][0], True),
    }[kind]()


def converse(tree, process, fds):
    """The program's part: a FIFO from before its start, and one that is made now; what it holds open is seen by nobody."""
    assert process.stdout.readline() == "ready\n"
    later, fd = speak(tree, "later")
    fds.append(fd)
    silent = [os.path.join(tree.ro, name) for name in ("silent", "silent-later")]
    os.mkfifo(silent[1])
    os.chmod(silent[1], 0o666)
    assert not any(heard(path) for path in silent)
    process.stdin.write("go\n")
    process.stdin.flush()
    told = [process.stdout.readline()]
    while told[-1] and told[-1] != "opened\n":
        told.append(process.stdout.readline())
    readers = [heard(path) for path in silent]
    process.stdin.close()
    told.append(process.stdout.read())
    return "".join(told), readers


def run_fifos(tree, start):
    fds = []
    _, fd = speak(tree, "early")
    fds.append(fd)
    silent = os.path.join(tree.ro, "silent")
    os.mkfifo(silent)
    os.chmod(silent, 0o666)
    process = start()
    try:
        told, readers = converse(tree, process, fds)
        assert process.wait(60) == 0, process.stderr.read()
        left = [unread(fd) for fd in fds]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
        for fd in fds:
            os.close(fd)
    return told, readers, left


PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def test_a_fifo_of_the_host_is_a_way_without_us(tree):
    program = os.path.join(tree.programs, "escape_nodes")
    told, readers, left = run_fifos(tree, lambda: subprocess.Popen(tree.sg.command([program, "fifos", tree.ro]), **PIPES))
    assert told.count("escaped") >= 4 and readers == [True, True] and left[0] < 40 * len(SECRET), (told, readers, left)


@pytest.mark.parametrize("kind", ["overlay", "overlay-and-landlock", "overlay-and-covers", "partly-writable", "sockets-by-wildcard", "decided"])
def test_a_fifo_of_the_host_is_not_read(tree, kind):
    profile, mediated = listening(tree, kind)
    logs = []

    def start():
        process, log = tree.sg.start(profile, os.path.join(tree.programs, "escape_nodes"), "fifos", tree.ro, **PIPES)
        logs.append(log)
        return process

    told, readers, left = run_fifos(tree, start)
    assert "escaped" not in told and "broken" not in told and told.count("refused") >= 12 and "works file" in told, told
    assert readers == [False, False] and left == [40 * len(SECRET)] * 2, (readers, left)
    with open(logs[0], encoding="utf-8") as f:
        assert ("a FIFO of the host needs a ReadWrite rule" in f.read()) == mediated


def test_a_fifo_that_a_rule_names(tree):
    """For reading it is refused before the start, in any profile; a ReadWrite rule gives it."""
    path, fd = speak(tree, "named")
    reading = tree.profile().replace('"/usr/**"', '"/usr/**", "%s"' % path, 1)
    done = tree.sg.run(reading, "/usr/bin/head", "-c", "10", path)
    assert done.status == 125 and path + " is a FIFO" in done.stderr and "ReadWrite" in done.stderr, done.stderr
    assert not done.records and len(os.read(fd, 4096)) == 40 * len(SECRET)
    os.write(fd, SECRET.encode())
    done = tree.sg.run(tree.profile('ReadWrite = ["%s"]' % path), "/usr/bin/head", "-c", "10", path)
    assert (done.status, done.stdout) == (0, SECRET), done.stderr
    # One that a wildcard meets is not there, like anything that is not granted.
    braces = tree.profile().replace('"/usr/**"', '"/usr/**", "%s/{named,open.txt}"' % tree.ro, 1)
    done = tree.sg.shell(braces, "cat {0}/open.txt; head -c 10 {0}/named".format(tree.ro))
    assert done.stdout == "OPEN\n" and done.status != 0, done.stderr
    os.close(fd)


@pytest.mark.parametrize("kind", ["plain", "overlay", "covers", "overlay-and-covers"])
@pytest.mark.parametrize("named", ["literal", "wildcard"])
def test_a_socket_in_what_may_be_read_is_reached(tree, kind, named):
    """A socket behind an overlay is nobody's: one that the profile grants has a mount of its own."""
    path = os.path.join(tree.ro, "socket")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    os.chmod(path, 0o777)
    server.listen(5)
    server.setblocking(False)
    profile = reading_profiles(tree)["covers"][0] if "covers" in kind else \
        tree.profile().replace('"/usr/**"', '"/usr/**", "%s/**"' % tree.ro, 1)
    if "overlay" in kind:
        profile = bounded(profile, "overlay")
    rule = path if named == "literal" else tree.ro + "/sock*"
    profile += '[Networking]\nFlags = ["unix"]\nAllow = ["unix:%s"]\n' % rule
    script = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b'hello')"
    done = tree.sg.run(profile, "/usr/bin/python3", "-c", script, path)
    assert done.status == 0, done.stderr
    peer, _ = server.accept()
    assert peer.recv(10) == b"hello"
    if "covers" in kind:  # what is refused beside it stays so
        held(tree.run(profile, "paths", "path-descriptors", tree.ro, "secret.key", "open.txt"), refused=20, works=2)
    peer.close()
    server.close()


def test_a_bound_is_told(tree):
    profile, _ = listening(tree, "overlay")
    explained = tree.sg.cli("explain", "--long", "--cost", tree.sg.profile(profile)).stdout
    assert "mount tree: overlay" in explained and "overlays in the place of the trees" in explained
    assert "are the world's own" in " ".join(explained.split())
    plain = tree.sg.cli("explain", "--long", tree.sg.profile(profile.replace('Bounds = ["overlay"]\n', ""))).stdout
    assert 'Bounds = ["overlay"] keeps them out' in " ".join(plain.split())
    partly, _ = listening(tree, "partly-writable")
    explained = tree.sg.cli("explain", "--long", "--cost", tree.sg.profile(partly)).stdout
    assert "every opening of a file" in " ".join(explained.split())
