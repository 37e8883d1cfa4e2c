"""Artefacts: written by the program, taken by the tools that they are for."""
import json
import os
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


def test_seccomp_under_crun(sg):
    """A container with the artefact refuses what the profile does not give, arguments included, and runs what it gives."""
    need("crun")
    what = containers.config(["/usr/bin/python3", "-c", PROBE])
    without = containers.run(sg, what)
    assert without.returncode == 0, without.stderr
    assert answers(without.stdout)["inet stream"] == "ok" and answers(without.stdout)["netlink"] == "ok"
    what["linux"]["seccomp"] = json.loads(compiled(sg, PROFILE, "--to", "seccomp", "--approximate"))
    done = containers.run(sg, what)
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
    assert ("network inet" in text) == (profile in ("developer", "proposal"))


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


@pytest.mark.parametrize("arguments, said", [
    (["--to", "secomp"], 'did you mean "seccomp"'),
    (["--to", "seccomp,capabilities", "--approximate"], "name a folder"),
    ([], "usage"),
    (["--to", "seccomp", "--approximate", "-o", "/nonexistent/x"], "cannot write"),
])
def test_wrong_usage(sg, arguments, said):
    done = sg.cli("compile", sg.profile(PROFILE), *arguments)
    assert done.returncode in (2, 125) and said in done.stderr and done.stdout == "", done.stderr


def test_a_file_that_cannot_be_written_whole(sg):
    """The old contents stay where a disk is full or a file too large."""
    target = os.path.join(sg.home, "out.json")
    sg.write("out.json", "old\n", folder=sg.home)
    done = subprocess.run(sg.command(["sh", "-c", "ulimit -f 1; exec \"$@\"", "sh", sg.program, "compile", sg.profile(PROFILE), "--to", "seccomp",
                                      "--approximate", "-q", "-o", target]), env=sg.environment(), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode != 0
    assert open(target, encoding="utf-8").read() == "old\n" and not [n for n in os.listdir(sg.home) if n.startswith("out.json.")]
