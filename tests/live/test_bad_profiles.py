"""What is no profile: a clear error, in bounded time and memory, whatever is given; and what is no more than large works.

Each call runs under limits of the kernel's: address space and processor time. A call that waits for something would meet the
deadline of the test instead.
"""
import os
import resource
import socket
import subprocess

import pytest

import conftest

MIB = 1 << 20
LARGEST = 10 * MIB
PROCESSOR_SECONDS = 20 * conftest.SLOWER * (4 if conftest.SANITIZED else 1)  # a tenth of it and less is what it takes
ADDRESS_SPACE = 1 << 30
DEADLINE = 120 * conftest.SLOWER


def limits():
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    if not conftest.SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def limited(sg, *arguments, env=None):
    return subprocess.run(sg.command([sg.program, *arguments]), cwd=sg.cwd, env=sg.environment(env), stdin=subprocess.DEVNULL,
                          capture_output=True, preexec_fn=limits, timeout=DEADLINE, check=False)


def given(sg, content, name="bad.toml"):
    path = os.path.join(sg.cwd, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, 0o644)
    return path


def filled(unit, head="", tail="", size=LARGEST):
    return head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


def counted(unit, head="", tail="", size=LARGEST, most=1 << 30):
    """`unit` with a number in it, as often as it fits."""
    pieces, left, number = [head], size - len(head) - len(tail), 0
    while number < most:
        piece = unit % number
        left -= len(piece)
        if left < 0:
            break
        pieces.append(piece)
        number += 1
    return "".join(pieces) + tail


def files(key, unit, **kwargs):
    return counted("'" + unit + "',", "[Filesystem]\n%s = [" % key, "]\n", **kwargs)


# Ten megabytes of each; what the error says, or None where that is a profile. The text is made by a call: all at once are too much.
LARGE = {
    "comments": (lambda: filled("# nothing at all\n"), None),
    "one string": (lambda: filled("a", 'Description = "', '"\n'), None),
    "too large": (lambda: "#" * (LARGEST + 1), "larger than 10485760 bytes"),
    "brackets": (lambda: filled("["), "expected a key"),
    "arrays": (lambda: filled("[", "Name = "), "nested too deep: at most 100 levels"),
    "inline tables": (lambda: filled("{a=", "Name = "), "nested too deep: at most 100 levels"),
    "dotted keys": (lambda: filled("a.", "", "a = 1\n"), "nested too deep: at most 100 levels"),
    "headers": (lambda: counted("[Define.f%d]\n"), None),
    "one header again": (lambda: filled("[Misc]\n"), "defines `Misc`, which is a table already"),
    "one key again": (lambda: filled("Name='a'\n"), "duplicate key `Name`"),
    "unknown keys": (lambda: counted("key%d=1\n"), 'unknown key "key0"'),
    "unknown tables": (lambda: counted("[s%d]\n"), "too many keys and values"),
    "unknown flags": (lambda: counted("'dsn%d',", "[Networking]\nFlags=[", "]\n"), 'unknown flag "dsn0"'),
    "unknown calls": (lambda: counted("'raed%d',", "[Misc]\nDenySyscalls=[", "]\n", most=60000), 'no system call "raed0"'),
    "unknown features": (lambda: counted("'cgruop%d',", "[Misc]\nAcceptMissing=[", "]\n", most=60000), 'no feature "cgruop0"'),
    "unknown limits": (lambda: counted("l%d=1,", "[Runtime]\nLimits={", "z=1}\n"), "too many keys and values"),
    "a long flag": (lambda: filled("d", "[Networking]\nFlags=['", "']\n"), 'unknown flag "ddd'),
    "extends what is not": (lambda: counted("'x%d',", "Extends=[", "]\n", most=60000), 'there is no profile "x0"'),
    "extends itself": (lambda: filled("'./bad.toml',", "Extends=[", "]\n"), "a profile cannot extend itself"),
    "walls": (lambda: counted("['a%d','b'],", "[Walls]\nNever=[", "]\n", most=20000), 'there is no label "a0"'),
    "labels and walls": (lambda: counted("[Label.l%d]\n", most=20000) +
                         counted("['l%d','l0'],", "[Walls]\nNever=[", "]\n", most=20000), None),
    "too many rules": (lambda: files("ReadOnly", "/srv/f%d/**"), "more than 65536 rules in all"),
    "files": (lambda: files("ReadOnly", "/srv/data/f%d", most=60000), None),
    "trees": (lambda: files("ReadOnly", "/srv/data/f%d/**", most=60000), None),
    "reads and writes": (lambda: files("ReadOnly", "/**/a%d*", most=30000) +
                         files("ReadWrite", "/**/a*%d", most=30000).replace("[Filesystem]\n", ""), None),
    "reads in writes": (lambda: files("ReadOnly", "/a/*%d*x/**", most=30000) +
                        files("ReadWrite", "/a/**/?%d*", most=30000).replace("[Filesystem]\n", ""), None),
    "private folders": (lambda: files("Private", "/p%d/", most=60000), None),
    "addresses": (lambda: counted("'tcp:10.0.0.1:%d',", "[Networking]\nAllow=['tcp:1.2.3.4:99999',", "]\n", most=60000), "65535"),
    "flags of one's own": (lambda: counted("[Define.f%d]\nFlags=['g']\n", most=100000), "unknown flag \"g\""),
    "one alternative in two": (lambda: files("ReadOnly", "/" + "{a,b}" * 1600 + "%d"), None),
    "ten alternatives in two": (lambda: files("ReadOnly", "/" + "{a,b}" * 10 + "/%d", most=60000), None),
    "stars": (lambda: files("ReadOnly", "/" + "*a" * 4000 + "%d"), None),
    "trees in braces": (lambda: files("Deny", "/" + "{**,*/,a}" * 880 + "%d"), None),
    "stars in braces": (lambda: files("Hide", "/" + "{*,}" * 2000 + "%d"), None),
    "braces in braces": (lambda: files("Deny", "/" + "{a,b" * 16 + "}" * 16 + "x" * 100 + "%d"), None),
    "deep braces": (lambda: "[Filesystem]\nDeny=['/%s%s']\n" % ("{a,b" * 1500, "}" * 1500), "more than 16 braces within braces"),
    "a long glob": (lambda: filled("a", "[Filesystem]\nDeny=['/", "']\n"), "a glob of more than 8192 bytes"),
    "bytes that are no text": (lambda: b'Name = "' + b"\xff\xfe" * (5 * MIB - 10) + b'"\n', "the byte 0xFF is not UTF-8 here"),
    "half a character": (lambda: b'Name = "\xe2\x82"\n' * 400000, "is not UTF-8 here"),
    "zeros": (lambda: b"\0" * LARGEST, "control character U+0000"),
}


@pytest.mark.parametrize("name", LARGE)
def test_ten_megabytes(prefix, tmp_path, name):
    make, expected = LARGE[name]
    content = make()
    (tmp_path / "bad.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    done = subprocess.run([os.path.join(prefix, "bin", "shellguard"), "check", "./bad.toml"], cwd=tmp_path,
                          env={"HOME": str(tmp_path), "ASAN_OPTIONS": conftest.ASAN}, stdin=subprocess.DEVNULL,
                          capture_output=True, preexec_fn=limits, timeout=DEADLINE, check=False)
    errors = done.stderr.decode()
    if expected is None:
        assert done.returncode in (0, 3), (done.returncode, errors[:2000])
    else:
        assert done.returncode == 1 and expected in errors, (done.returncode, errors[:2000])
        assert name == "too large" or "bad.toml:" in errors, errors[:200]
    assert len(errors) < MIB, "an error of bounded length too"


@pytest.mark.parametrize("back_end, expected", [("oci", 125), ("systemd", 125), ("landlock", 125), ("apparmor", 0), ("seccomp", 0)])
def test_a_thousand_alternatives_in_each_rule(sg, back_end, expected):
    """Written out they would be two million names: refused where each has a line of its own, and in bounded time and memory."""
    names = "{%s}" % ",".join(str(i) for i in range(1000))
    given(sg, "[Filesystem]\nReadOnly = [%s]\n" % ",".join("'/srv/%d/%s'" % (i, names) for i in range(2000)))
    done = limited(sg, "compile", "./bad.toml", "--to", back_end, "--approximate", "-q", "-o", "out")
    assert done.returncode == expected and os.path.exists(os.path.join(sg.cwd, "out")) == (expected == 0), done.stderr
    assert expected == 0 or b"too many files" in done.stderr, done.stderr


def test_ten_alternatives_in_two_in_each_rule(sg):
    """A thousand names in each of thousands of rules are not gone through where they show no folder."""
    given(sg, LARGE["ten alternatives in two"][0]())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = limited(sg, "compile", "./bad.toml", "--to", "apparmor", "--approximate", "-q", "-o", "out")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert conftest.SANITIZED or spent.ru_utime - used.ru_utime < 2 * conftest.SLOWER, "it is a fifth of that, and was some seconds"


def test_a_line_of_megabytes(sg):
    """Each rule's place is told, and is not counted from the beginning of its line."""
    given(sg, "[Filesystem]\nDeny = [%s]\n" % ",".join("'/srv/%s%d'" % ("x" * 100, i) for i in range(60000)))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = limited(sg, "compile", "./bad.toml", "--to", "landlock", "--approximate", "-q", "-o", "out")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert conftest.SANITIZED or spent.ru_utime - used.ru_utime < 6 * conftest.SLOWER, "it is a tenth of that, and was half a minute"


def test_ten_thousand_rules(sg):
    """No error at all: they are explained, and a program runs under them."""
    text = conftest.BASE.replace('Exec = ["/usr/**"]', 'Exec = ["/usr/**"]\nDeny = [%s]\nHide = [%s]' % (
        ",".join("'/usr/share/**/no-such-%d.*'" % i for i in range(5000)), ",".join("'/usr/no-such-%d/**'" % i for i in range(5000))))
    given(sg, text, "many.toml")
    assert limited(sg, "check", "./many.toml").returncode == 0
    explained = limited(sg, "explain", "--long", "./many.toml")
    assert explained.returncode == 0 and b"/usr/no-such-4999/**" in explained.stdout, explained.stderr
    done = sg.run(text, "/bin/true")
    # An emulated processor is not fast enough for the minute that apparmor_parser has; elsewhere it takes some seconds of it.
    assert done.status == 0 or (conftest.SLOWER > 1 and "apparmor_parser" in done.stderr), done.stderr


LIKE = {
    # Every rule picks files of one folder by name; and rules none of which meets another, which only comparing tells.
    "by name": lambda i: ("/usr/share/x%d*" % i, "/usr/share/y%d*" % i),
    "anywhere": lambda i: ("/usr/**/x%d" % i, "/usr/**/y%d" % i),
}


@pytest.mark.parametrize("name", LIKE)
def test_rules_that_are_alike_are_explained(sg, name):
    """What each costs is told of some, in bounded time: not every rule is held against every other."""
    rules = [LIKE[name](i) for i in range(5000)]
    given(sg, "[Filesystem]\nReadOnly = [%s]\nDeny = [%s]\nExec = ['/usr/bin/id']\n[Runtime]\nFlags = ['start']\n" % tuple(
        ",".join("'%s'" % rule[i] for rule in rules) for i in (0, 1)), "alike.toml")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = limited(sg, "explain", "--cost", "./alike.toml")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and b"Every opening is decided because of" in done.stdout and b"... and perhaps others" in done.stdout
    assert conftest.SANITIZED or spent.ru_utime - used.ru_utime < 2 * conftest.SLOWER, "it is a tenth of that, and was some seconds"


def other_files(sg):
    """What may bear a profile's name and is no file, made here; (name, what is said)."""
    os.mkfifo(os.path.join(sg.cwd, "fifo.toml"))
    os.mkdir(os.path.join(sg.cwd, "folder.toml"))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.join(sg.cwd, "socket.toml"))
    os.symlink("fifo.toml", os.path.join(sg.cwd, "link.toml"))
    os.symlink("circle.toml", os.path.join(sg.cwd, "circle.toml"))
    for name in ("fifo.toml", "folder.toml", "socket.toml", "link.toml", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/proc/self/fd"):
        yield name, "is not a regular file"
    yield "circle.toml", "Too many levels of symbolic links"
    yield "/proc/self/mem", "/proc/self/mem"
    yield "/proc/self/pagemap", "/proc/self/pagemap"
    yield "x" * 300 + ".toml", "File name too long"
    yield "y/" * 3000 + ".toml", "longer than 4095 bytes"


def test_other_than_a_file(sg):
    for name, expected in other_files(sg):
        path = name if name.startswith("/") else "./" + name
        for arguments in (["check", path], ["explain", path], ["run", "-p", path, "--", "true"]):
            done = limited(sg, *arguments)
            failed = arguments[0] == "run" or name == "/proc/self/mem"  # a file, and it cannot be read
            assert done.returncode == (125 if failed else 1) and expected in done.stderr.decode(), (name[:80], done.returncode, done.stderr[:500])
        given(sg, "Extends = ['%s']\n" % path, "extends.toml")
        done = limited(sg, "check", "./extends.toml")
        assert done.returncode == 1, (name[:80], done.stderr[:500])
        assert b"extends.toml:1:12: error: " in done.stderr, done.stderr[:500]


def test_a_device_is_not_opened(sg):
    """Opening one may do something: the other side of a FIFO would see a reader."""
    path = os.path.join(sg.cwd, "seen.toml")
    os.mkfifo(path)
    if sg.uid:
        os.chmod(path, 0o666)
    assert limited(sg, "check", "./seen.toml").returncode == 1
    with pytest.raises(OSError) as nobody:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    assert nobody.value.errno == 6, "ENXIO: no reader was ever there"


def test_circles(sg):
    for name, extends in (("a", "b"), ("b", "c"), ("c", "a"), ("one", "two"), ("two", "three"), ("three", "two")):
        given(sg, "Extends = ['./%s.toml']\n" % extends, "circles/%s.toml" % name)
    for first, where, named in (("a", "c", "a"), ("b", "a", "b"), ("one", "three", "two")):
        done = limited(sg, "check", "./circles/%s.toml" % first)
        assert done.returncode == 1
        assert 'circles/%s.toml:1:12: error: "./%s.toml" extends this profile in turn' % (where, named) in done.stderr.decode(), done.stderr
    # Two ways to one profile are no circle; given twice is once.
    given(sg, "Extends = ['./left.toml', './right.toml']\n", "circles/top.toml")
    for name in ("left", "right"):
        given(sg, "Extends = ['./bottom.toml', './bottom.toml']\n", "circles/%s.toml" % name)
    given(sg, "Name = 'bottom'\n", "circles/bottom.toml")
    assert limited(sg, "check", "./circles/top.toml", "./circles/top.toml").returncode == 0


def test_chains(sg):
    for i in range(80):
        given(sg, "Extends = ['n%d.toml']\n" % (i + 1) if i < 79 else "Name = 'last'\n", "chain/n%d.toml" % i)
        given(sg, "Extends = ['./n%d.toml']\n" % (i + 1) if i < 79 else "Name = 'last'\n", "chain/n%d.toml" % i)
    assert limited(sg, "check", "./chain/n30.toml").returncode == 0
    done = limited(sg, "check", "./chain/n0.toml")
    assert done.returncode == 1 and b"more than 64 profiles extend each other" in done.stderr


def test_extends_stays_where_profiles_are(sg):
    inside = "neither below the folder of"
    given(sg, "[Filesystem]\nReadOnly = ['/etc/**']\n", "elsewhere/wide.toml")
    config = os.path.join(sg.home, "config")
    env = {"XDG_CONFIG_HOME": config}
    given(sg, "Name = 'named'\n", os.path.join(config, "shellguard/profiles/named.toml"))
    given(sg, "Name = 'team'\n", os.path.join(config, "shellguard/profiles/team/base.toml"))
    given(sg, "Extends = ['../named.toml']\n", os.path.join(config, "shellguard/profiles/team/up.toml"))
    given(sg, "Name = 'below'\n", "mine/sub/below.toml")
    os.symlink("../elsewhere/wide.toml", os.path.join(sg.cwd, "mine", "link.toml"))
    os.symlink("../elsewhere", os.path.join(sg.cwd, "mine", "folder"))
    os.symlink("sub/below.toml", os.path.join(sg.cwd, "mine", "good.toml"))
    for name, good in (("./sub/below.toml", True), ("sub/below.toml", True), ("sub/../sub/below.toml", True), ("./good.toml", True),
                       ("named", True), (config + "/shellguard/profiles/team/base.toml", True),
                       (config + "/shellguard/profiles/team/up.toml", True), (sg.cwd + "/mine/sub/below.toml", True),
                       ("../elsewhere/wide.toml", False), (sg.cwd + "/elsewhere/wide.toml", False), ("./link.toml", False),
                       ("./folder/wide.toml", False), ("folder/../elsewhere/wide.toml", False), ("/proc/self/cwd/elsewhere/wide.toml", False)):
        given(sg, "Extends = ['%s']\n" % name, "mine/top.toml")
        done = limited(sg, "check", "./mine/top.toml", env=env)
        errors = done.stderr.decode()
        if good:
            assert done.returncode == 0, (name, errors)
        else:
            assert done.returncode == 1 and inside in errors and "top.toml:1:12: error: " in errors, (name, errors)
    # What a person names is theirs to name, wherever it lies.
    assert limited(sg, "check", "mine/link.toml", "../work/elsewhere/wide.toml").returncode == 0
