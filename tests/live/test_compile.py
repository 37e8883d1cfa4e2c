"""Artefacts: written by the program, taken by the tools that they are for."""
import json
import os
import random
import shutil
import subprocess

import containers
import pytest
from conftest import BASE, ROOT, cannot

PROBE = r"""
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *[ctypes.c_ulong(a & (1 << 64) - 1) for a in arguments])
    print(name, "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()])
call("getpid", 39)
call("inet stream", 41, 2, 1, 0)
call("netlink", 41, 16, 3, 0)
call("packet", 41, 17, 3, 0)
call("unix stream", 41, 1, 1, 0)
call("unshare user", 272, 0x10000000)
call("mount", 165, 0, 0, 0, 0, 0)
call("ptrace traceme", 101, 0, 0, 0, 0)
call("keyctl", 250, 0, 0, 0, 0, 0)
call("io_uring_setup", 425, 0, 0)
call("bpf", 321, 0, 0, 0)
call("userfaultfd", 323, 0)
call("perf_event_open", 298, 0, 0, -1, -1, 0)
call("write and execute", 9, 0, 4096, 7, 0x22, -1, 0)
call("upper half", 9, 0, 4096, 7 | 1 << 40, 0x22, -1, 0)
call("TIOCSTI", 16, 0, 0x5412, 0)
call("mergeable", 28, 0, 0, 12)
call("mergeable, upper half", 28, 0, 0, 12 | 1 << 40)
call("prctl name", 157, 16, id(b"x" * 16) + 32)
call("clone3", 435, 0, 0)
call("openat2", 437, -100, 0, 0, 0)
sys.stdout.flush()
"""
REFUSED = {"netlink", "packet", "unshare user", "mount", "ptrace traceme", "keyctl", "io_uring_setup", "bpf", "userfaultfd", "perf_event_open",
           "write and execute", "upper half", "TIOCSTI", "mergeable", "mergeable, upper half"}
ALLOWED = {"getpid", "inet stream", "unix stream", "prctl name"}
PROFILE = BASE + """
[Networking]
Flags = ["outgoing", "unix"]
"""


def compiled(sg, profile, *options):
    done = sg.cli("compile", sg.profile(profile), *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def need(program):
    if shutil.which(program, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin") is None:
        cannot("%s is not installed" % program)


def answers(text):
    return dict(line.rsplit(" ", 1) for line in text.splitlines())


def judge(said):
    refused = {name for name, answer in said.items() if answer in ("EPERM", "ENOSYS", "EINVAL", "EAFNOSUPPORT")}
    assert REFUSED <= refused, said
    assert all(said[name] == "ok" for name in ALLOWED), said
    assert said["clone3"] == "ENOSYS" and said["openat2"] == "ENOSYS", said


@pytest.mark.parametrize("runtime", containers.RUNTIMES)
def test_seccomp_in_a_container(sg, runtime):
    """A container with the artefact refuses what the profile does not give, arguments included, and runs what it gives."""
    need(runtime)
    what = containers.config(["/usr/bin/python3", "-c", PROBE])
    without = containers.run(sg, what, runtime=runtime)
    assert without.returncode == 0, without.stderr
    assert answers(without.stdout)["inet stream"] == "ok" and answers(without.stdout)["netlink"] == "ok"
    what["linux"]["seccomp"] = json.loads(compiled(sg, PROFILE, "--to", "seccomp", "--approximate"))
    done = containers.run(sg, what, runtime=runtime)
    assert done.returncode == 0, done.stderr
    judge(answers(done.stdout))


LOADER = r"""
import ctypes, os, sys
class Program(ctypes.Structure): _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_void_p)]
code = open(sys.argv[1], "rb").read()
assert code and len(code) % 8 == 0
buffer = ctypes.create_string_buffer(code, len(code))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
assert libc.prctl(38, 1, 0, 0, 0) == 0
program = Program(len(code) // 8, ctypes.addressof(buffer))
assert libc.prctl(22, 2, ctypes.addressof(program), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2]])
"""


def test_seccomp_program(sg):
    """The raw program, loaded by hand: the same answers."""
    target = os.path.join(sg.work, "home", "filter.bpf")
    compiled(sg, PROFILE, "--to", "seccomp-bpf", "--approximate", "-o", target)
    done = subprocess.run(sg.command(["/usr/bin/python3", "-c", LOADER, target, PROBE]), env=sg.environment(), capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    judge(answers(done.stdout))


def test_capabilities(sg):
    """The line that the artefact gives for setpriv leaves a program without any."""
    text = compiled(sg, PROFILE, "--to", "capabilities", "--approximate")
    line = next(line for line in text.splitlines() if "setpriv --" in line).strip("# ").replace("COMMAND", "cat /proc/self/status")
    done = subprocess.run(sg.command(["sh", "-c", line]), env=sg.environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    fields = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    sets = {name: int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    assert set(sets.values()) == {0} and fields["NoNewPrivs"] == "1", fields
    if sg.uid == 0:
        assert int(fields["CapBnd"], 16) == 0


APPARMOR = "/etc/apparmor.d/abi/3.0"


def parse(sg, path, *options):
    """What apparmor_parser makes of a profile; without its table of features it would drop network rules without a word."""
    need("apparmor_parser")
    if not os.path.exists(APPARMOR):
        cannot(APPARMOR + " is not installed")
    return subprocess.run(sg.command([shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin"), "-Q", "-K", "-M", APPARMOR, "--Werror",
                                      *options, path]), env=sg.environment(), capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("profile", ["developer", "offline", "build", "read-only-host", "untrusted", "proposal"])
def test_apparmor(sg, profile):
    """The profile's compiler takes what is written for the shipped profiles, and finds one profile with rules for sockets in it."""
    target = os.path.join(sg.home, "profile")
    if profile == "proposal":  # with the commas that it lacks as printed
        with open(os.path.join(ROOT, "tests", "toml", "own", "proposal.toml"), encoding="utf-8") as f:
            name = sg.profile(f.read().replace('"ping"', '"ping",', 1).replace('"incoming"', '"incoming",', 1))
    else:
        name = profile
    done = sg.cli("compile", name, "--to", "apparmor", "--approximate", "-q", "-o", target)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    done = parse(sg, target, "-S")
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    assert done.stdout.count(b"\x04\x08\x00profile\x00") == 1
    names = parse(sg, target, "-N").stdout.decode().split()
    assert len(names) == 1 and names[0].startswith("shellguard-"), names
    with open(target, encoding="utf-8") as f:
        text = f.read()
    assert ("network inet" in text) == (profile in ("developer", "offline", "build", "proposal"))


def test_apparmor_of_nothing(sg):
    """A profile of an empty file gives what every world has, and no socket, signal to others or capability."""
    target = os.path.join(sg.home, "profile")
    assert sg.cli("compile", sg.profile(""), "--to", "apparmor", "--approximate", "-q", "-o", target).returncode == 0
    assert parse(sg, target, "-S").returncode == 0
    with open(target, encoding="utf-8") as f:
        rules = [line.strip() for line in f if line.startswith("  ") and not line.startswith("  #")]
    assert not [rule for rule in rules if rule.startswith(("network", "unix", "capability", "mount", "change_profile"))]
    assert {rule.split()[0] for rule in rules if rule.startswith("/")} == {
        "/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/random", "/dev/urandom"}


RULESET = r"""
import ctypes, os, re, struct, sys, tomllib
FS = ["execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char", "make_dir", "make_reg", "make_sock", "make_fifo",
      "make_block", "make_sym", "refer", "truncate", "ioctl_dev"]
NET = ["bind_tcp", "connect_tcp"]
SCOPED = ["abstract_unix_socket", "signal"]
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
with open(sys.argv[1], "rb") as f:
    config = tomllib.load(f)
assert set(config) <= {"ruleset", "path_beneath", "net_port"}, set(config)
abi = call(444, None, ctypes.c_size_t(0), ctypes.c_uint(1))
print("abi", abi)
def bits(names, table, known):
    return sum(1 << table.index(name) for name in names if table.index(name) < known)
fs = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)
net, scoped = (2 if abi >= 4 else 0), (2 if abi >= 6 else 0)
handled = [0, 0, 0]
for ruleset in config["ruleset"]:
    assert set(ruleset) <= {"handled_access_fs", "handled_access_net", "scoped"}
    handled[0] |= bits(ruleset.get("handled_access_fs", []), FS, fs)
    handled[1] |= bits(ruleset.get("handled_access_net", []), NET, net)
    handled[2] |= bits(ruleset.get("scoped", []), SCOPED, scoped)
size = 24 if abi >= 6 else 16 if abi >= 4 else 8
fd = call(444, struct.pack("QQQ", *handled), ctypes.c_size_t(size), ctypes.c_uint(0))
for rule in config.get("path_beneath", []):
    for parent in rule["parent"]:
        assert not re.search(r"(?<![$])([$][$])*[$](?![$])", parent), parent
        try:
            at = os.open(parent.replace("$$", "$"), os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        call(445, ctypes.c_int(fd), ctypes.c_int(1), struct.pack("=Qi", bits(rule["allowed_access"], FS, fs), at), ctypes.c_uint(0))
        os.close(at)
for rule in config.get("net_port", []) if net else []:
    for port in rule["port"]:
        call(445, ctypes.c_int(fd), ctypes.c_int(2), struct.pack("=QQ", bits(rule["allowed_access"], NET, net), port), ctypes.c_uint(0))
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
assert libc.prctl(38, 1, 0, 0, 0) == 0
call(446, ctypes.c_int(fd), ctypes.c_uint(0))
sys.stdout.flush()
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""

FILES = r"""
import errno, os, socket, subprocess, sys
home = sys.argv[1]
def attempt(name, act):
    try:
        act()
        print(name, "ok")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
def write(path, how="w"):
    with open(path, how, encoding="utf-8") as f:
        f.write("new")
def connect(port):
    with socket.socket() as s:
        s.connect(("127.0.0.1", port))
attempt("read given", lambda: open(home + "/read/file").read())
attempt("list given", lambda: os.listdir(home + "/read"))
attempt("read other", lambda: open(home + "/other/file").read())
attempt("list other", lambda: os.listdir(home + "/other"))
attempt("write read-only", lambda: write(home + "/read/file", "a"))
attempt("make in read-only", lambda: write(home + "/read/new"))
attempt("write given", lambda: write(home + "/write/file"))
attempt("make given", lambda: write(home + "/write/new"))
attempt("rename given", lambda: os.rename(home + "/write/new", home + "/write/newer"))
attempt("remove given", lambda: os.unlink(home + "/write/newer"))
attempt("folder", lambda: os.mkdir(home + "/write/folder"))
attempt("symlink", lambda: os.symlink("/", home + "/write/link"))
attempt("out", lambda: os.rename(home + "/write/file", home + "/other/taken"))
attempt("dollar", lambda: open(home + "/${x}/$y").read())
attempt("null", lambda: write("/dev/null"))
attempt("execute given", lambda: subprocess.run(["/usr/bin/true"], check=True))
attempt("execute in read-only", lambda: subprocess.run([home + "/read/true"], check=True))
attempt("port", lambda: connect(9))
attempt("other port", lambda: connect(11))
"""


def test_landlock(sg):
    """What a loader makes of the ruleset: the program gets what the profile gives, and nothing of the rest."""
    for folder in ("read", "other", "write", "${x}"):
        sg.write("file", "old", folder=os.path.join(sg.home, folder))
        if os.getuid() == 0:
            os.chown(os.path.join(sg.home, folder), sg.uid, sg.uid)
    sg.write("$y", "old", folder=os.path.join(sg.home, "${x}"))
    shutil.copy("/usr/bin/true", os.path.join(sg.home, "read", "true"))
    profile = BASE.replace('Flags = ["tmp"]', "").replace(
        '"/etc/**"]', '"/etc/**", "HOME/read/**", \'HOME/$\\{x\\}/$y\']\nReadWrite = ["HOME/write/**"]').replace("HOME", sg.home) + """
[Networking]
Flags = ["loopback"]
Allow = ["tcp:*:9"]
"""
    target = os.path.join(sg.home, "ruleset.toml")
    compiled(sg, profile, "--to", "landlock", "--approximate", "-q", "-o", target)
    done = subprocess.run(sg.command(["/usr/bin/python3", "-c", RULESET, target, FILES, sg.home]), env=sg.environment(), capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = answers(done.stdout)
    abi = int(said.pop("abi"))
    network = "EACCES" if abi >= 4 else "ECONNREFUSED"
    assert said == {
        "read given": "ok", "list given": "ok", "read other": "EACCES", "list other": "EACCES", "write read-only": "EACCES",
        "make in read-only": "EACCES", "write given": "ok", "make given": "ok", "rename given": "ok", "remove given": "ok", "folder": "ok",
        "symlink": "EACCES", "out": said["out"], "dollar": "ok", "null": "ok", "execute given": "ok", "execute in read-only": "EACCES",
        "port": "ECONNREFUSED", "other port": network}
    assert said["out"] in ("EACCES", "EXDEV")
    with open(target, encoding="utf-8") as f:
        assert "# enforced          ReadWrite" in f.read()


def test_weaker_is_not_written_unasked(sg):
    target = os.path.join(sg.home, "out.json")
    profile = sg.profile(PROFILE)
    done = sg.cli("compile", profile, "--to", "seccomp", "-o", target)
    assert done.returncode == 1 and not os.path.exists(target)
    assert "files that no rule names" in done.stderr and "--approximate" in done.stderr
    done = sg.cli("compile", profile, "--to", "seccomp", "-o", target, "--approximate")
    assert done.returncode == 0 and "not enforced" in done.stderr
    header = json.load(open(target, encoding="utf-8"))["x-shellguard"]
    assert any("not enforced" in line for line in header) and any("enforced" in line and "Flags" in line for line in header)
    if os.getuid() == 0:
        assert os.stat(target).st_uid == sg.uid


@pytest.mark.parametrize("rule, back_ends, held", [
    ("", "oci", True),
    ('Deny = ["/etc/x"]', "oci", True),
    ('LogOnWrite = ["/etc/x"]', "oci", False),
    ('LogOnWrite = ["/etc/x"]', "oci,apparmor", True),
    ('LogOnWrite = ["/etc/x"]', "oci,landlock,systemd", False),
])
def test_one_rule_decides_whether_it_is_written(sg, rule, back_ends, held):
    """Where all else is held, one rule is enough to refuse; of several back ends one that holds it is enough to write."""
    folder = os.path.join(sg.home, "out")
    os.mkdir(folder)
    if os.getuid() == 0:
        os.chown(folder, sg.uid, sg.uid)
    done = sg.cli("compile", sg.profile('Name = "held"\n[Runtime]\nFlags = ["exec"]\n[Filesystem]\n%s\n' % rule), "--to", back_ends, "-o", folder)
    assert done.returncode == (0 if held else 1) and len(os.listdir(folder)) == (len(back_ends.split(",")) if held else 0), done.stderr
    assert held or "LogOnWrite" in done.stderr and "Nothing was written" in done.stderr


def test_what_no_session_holds_either_is_said(sg):
    done = sg.cli("compile", sg.profile(PROFILE + '[Label.a]\n[Label.b]\n[Walls]\nNever = [["b", "a"]]\n'), "--to", "seccomp")
    assert done.returncode == 1 and 'Never ["a", "b"]' in done.stderr and "no session of this version holds either" in " ".join(done.stderr.split())
    done = sg.cli("compile", sg.profile(PROFILE), "--to", "seccomp")
    assert done.returncode == 1 and '"shellguard run" holds all of it' in " ".join(done.stderr.split())


def test_several(sg):
    """A file for each back end, the same bytes every time; old files keep their modes."""
    folder = os.path.join(sg.home, "out")
    os.mkdir(folder)
    if os.getuid() == 0:
        os.chown(folder, sg.uid, sg.uid)
    profile = sg.profile('Name = "web/tier"\n' + PROFILE)
    arguments = ["compile", profile, "--to", "seccomp,capabilities", "--to", "seccomp-bpf", "--approximate", "-o", folder]
    assert sg.cli(*arguments).returncode == 0
    names = sorted(os.listdir(folder))
    assert names == ["web-tier.bpf", "web-tier.capabilities", "web-tier.seccomp.json"]
    first = [open(os.path.join(folder, name), "rb").read() for name in names]
    os.chmod(os.path.join(folder, names[0]), 0o600)
    assert sg.cli(*arguments).returncode == 0
    assert [open(os.path.join(folder, name), "rb").read() for name in names] == first
    assert os.stat(os.path.join(folder, names[0])).st_mode & 0o777 == 0o600 and sorted(os.listdir(folder)) == names


ORDER = {
    "Networking": {"Flags": ["dns", "unix"], "Allow": ["tcp:10.0.0.0/8:5432", "tcp:github.com:443"], "Deny": ["*:169.254.169.254:*"],
                   "Listen": ["tcp:127.0.0.1:8000-8999"]},
    "Filesystem": {"Flags": ["tmp", "tty"], "ReadOnly": ["/usr/**", "/etc/**"], "ReadWrite": ["/srv/a/**", "/srv/b/*.db"], "Exec": ["/usr/bin/*"],
                   "Deny": ["/etc/shadow", "/srv/a/**/*.key"], "Hide": ["/srv/secret/**"], "LogOnWrite": ["/etc/**"]},
    "Runtime": {"Flags": ["start", "malloc", "threads", "fork", "exec"], "DenyFlags": ["debug"]},
}


def shuffled(dice, lines):
    """The text of profile "x" with these (section, key, value): sections, keys and values in some order, some values twice."""
    text = ['Name = "x"']
    for section in dice.sample(sorted({line[0] for line in lines}), len({line[0] for line in lines})):
        text.append("[%s]" % section)
        keys = sorted({line[1] for line in lines if line[0] == section})
        for key in dice.sample(keys, len(keys)):
            values = [line[2] for line in lines if line[:2] == (section, key)]
            text.append("%s = %s" % (key, json.dumps(dice.sample(values, len(values)) + values[:dice.randrange(2)])))
    return "\n".join(text) + "\n"


def without_places(artefact):
    """An artefact but for what tells where rules stand: the lines of its header."""
    if not artefact.startswith("{"):
        return [line for line in artefact.splitlines() if not line.startswith("#")]
    return {key: value for key, value in json.loads(artefact).items() if key != "x-shellguard"}


def test_order_changes_no_artefact(sg):
    """Shuffled, split over files, or given twice, in any order: each back end gets the same."""
    dice, first = random.Random(20261129), {}
    lines = [(section, key, value) for section, keys in ORDER.items() for key, values in keys.items() for value in values]
    for round_ in range(4):
        some = dice.sample(lines, len(lines))
        parts = [some] if round_ % 2 == 0 else [some[:len(some) // 2], some[len(some) // 3:]]
        names = [sg.write("part%d.toml" % i, shuffled(dice, part)) for i, part in enumerate(parts)]
        for back_end in ("seccomp", "apparmor", "capabilities", "landlock", "oci", "systemd"):
            done = sg.cli("compile", *names, *names[:round_], "--to", back_end, "--approximate", "-q")
            assert done.returncode == 0, done.stderr
            written = without_places(done.stdout)
            if back_end in ("seccomp", "oci"):
                written.get("linux", {}).get("seccomp", {}).pop("x-shellguard", None)
            assert written == first.setdefault(back_end, written), (back_end, parts)


def test_the_order_on_the_line_changes_no_byte(sg):
    a, b = sg.write("a.toml", 'Name = "a"\n' + PROFILE), sg.write("b.toml", 'Name = "b"\n[Filesystem]\nDeny = ["/etc/shadow"]\n')
    for back_end in ("seccomp", "apparmor", "capabilities", "landlock", "oci", "systemd", "seccomp-bpf"):
        options = ["--to", back_end, "--approximate", "-q", "-o", os.path.join(sg.home, "out")]
        written = []
        for names in ((a, b), (b, a), (b, a, b)):
            assert sg.cli("compile", *names, *options).returncode == 0
            with open(os.path.join(sg.home, "out"), "rb") as f:
                written.append(f.read())
        assert len(set(written)) == 1 and len(written[0]) > 100, back_end


def test_what_is_no_artefact_of_the_profile_stays(sg):
    """In a folder names come from profiles: one that calls itself as another does, or as a file that is there, replaces neither."""
    folder = os.path.join(sg.home, "units")
    os.mkdir(folder)
    if os.getuid() == 0:
        os.chown(folder, sg.uid, sg.uid)
    mine, other = sg.write("web.toml", 'Name = "web"\n' + PROFILE), sg.write("stranger.toml", 'Name = "web"\n' + BASE)
    options = ["--approximate", "-q", "-o", folder]
    back_ends = "seccomp,apparmor,capabilities,landlock,oci,systemd"
    assert sg.cli("compile", mine, "--to", back_ends, *options).returncode == 0
    assert sg.cli("compile", mine, "--to", back_ends, *options).returncode == 0
    kept = {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder)}
    assert len(kept) == 6
    for back_end in back_ends.split(","):
        done = sg.cli("compile", other, "--to", back_end, *options)
        assert done.returncode == 125 and "/web." in done.stderr and "not made from this profile" in done.stderr, (back_end, done.stderr)
    # All or none: the one that is free is not written before the one that is not.
    os.unlink(os.path.join(folder, "web.apparmor"))
    assert sg.cli("compile", other, "--to", "apparmor,systemd", *options).returncode == 125
    del kept["web.apparmor"]
    assert {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder)} == kept
    # A later version of the same profile replaces, and so does a file that somebody names.
    sg.write("web.toml", 'Name = "web"\n' + BASE)
    assert sg.cli("compile", mine, "--to", back_ends, *options).returncode == 0
    assert open(os.path.join(folder, "web.conf"), "rb").read() != kept["web.conf"]
    assert sg.cli("compile", other, "--to", "systemd", "--approximate", "-q", "-o", os.path.join(folder, "web.conf")).returncode == 0
    # Nobody's artefact at all, and the back end without a header.
    for text in ("[Service]\nUser=web\n", ""):
        sg.write("web.conf", text, folder=folder)
        done = sg.cli("compile", mine, "--to", "systemd", *options)
        assert done.returncode == 125 and open(os.path.join(folder, "web.conf"), encoding="utf-8").read() == text, done.stderr
    sg.write("stranger.toml", 'Name = "web"\n' + PROFILE)
    for profile, said in ((mine, False), (mine, False), (other, True)):
        done = sg.cli("compile", profile, "--to", "seccomp-bpf", "--approximate", "-o", folder)
        assert done.returncode == 0 and ("web.bpf is replaced" in done.stderr) == said, done.stderr


@pytest.mark.parametrize("arguments, said", [
    (["--to", "secomp"], 'did you mean "seccomp"'),
    (["--to", "seccomp,capabilities", "--approximate"], "name a folder"),
    (["--to", "", "--approximate"], 'no back end ""'),
    (["--to", ",seccomp", "--approximate"], 'no back end ""'),
    ([], "name a back end with --to"),
    (["--to", "seccomp", "--approximate", "-o", "/nonexistent/x"], "cannot write"),
])
def test_wrong_usage(sg, arguments, said):
    done = sg.cli("compile", sg.profile(PROFILE), *arguments)
    assert done.returncode in (2, 125) and said in done.stderr and done.stdout == "", done.stderr


def test_a_link_of_somebody_elses(sg):
    """In a folder that everybody may write to, an artefact does not go where another user's link leads; elsewhere a link is followed."""
    if os.getuid() != 0 or open("/proc/sys/fs/protected_symlinks", encoding="ascii").read().strip() != "1":
        cannot("root, and fs.protected_symlinks")
    victim, profile = sg.write("victim", "old\n", folder=sg.home), sg.profile('Name = "ours"\n' + PROFILE)
    for mode, followed in ((0o1777, False), (0o755, True)):
        folder = os.path.join(sg.work, "folder%o" % mode)
        os.mkdir(folder)
        link = os.path.join(folder, "ours.seccomp.json")
        os.symlink(victim, link)
        os.lchown(link, 65534, 65534)
        if followed:
            os.chown(folder, sg.uid, sg.uid)
        else:
            os.chmod(folder, mode)
        for target in (link, folder):
            done = sg.cli("compile", profile, "--to", "seccomp", "--approximate", "-q", "-o", target)
            assert (done.returncode == 0) == followed, done.stderr
            assert os.path.islink(link) and (open(victim, encoding="utf-8").read() == "old\n") != followed


def test_a_file_that_cannot_be_written_whole(sg):
    """The old contents stay where a disk is full or a file too large."""
    target = os.path.join(sg.home, "out.json")
    sg.write("out.json", "old\n", folder=sg.home)
    done = subprocess.run(sg.command(["sh", "-c", "ulimit -f 1; exec \"$@\"", "sh", sg.program, "compile", sg.profile(PROFILE), "--to", "seccomp",
                                      "--approximate", "-q", "-o", target]), env=sg.environment(), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode != 0
    assert open(target, encoding="utf-8").read() == "old\n" and not [n for n in os.listdir(sg.home) if n.startswith("out.json.")]
