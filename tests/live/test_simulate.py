"""shellguard syscalls --simulate: what it says is what the kernel does, under the exported filter and in a session."""
import json
import os
import random
import subprocess

import containers
import pytest
from conftest import BASE
from test_compile import LOADER, compiled, need

PROFILE = BASE + """
[Networking]
Flags = ["outgoing", "unix"]
"""

# Calls whose arguments a filter looks at, made so that the kernel itself never answers EPERM, ENOSYS, ENOTTY or EAFNOSUPPORT: on
# descriptors that are not open, at addresses where nothing is.
NOWHERE = -1


def sample():
    dice = random.Random(20261128)
    calls = [("getpid", 39, []), ("keyctl", 250, [0]), ("bpf", 321, [0, 0, 0]), ("clone3", 435, [0, 0]), ("openat2", 437, [-100, 0, 0, 0]),
             ("io_uring_setup", 425, [0, 0]), ("mount", 165, [0, 0, 0, 0, 0]), ("memfd_create", 319, [0, 0]), ("madvise", 28, [0, 0, 12])]
    for request in (0x5401, 0x5412, 0x5413, 0x541b, 0x5421, 0x40045431, 0x12345678, 0x5412 | 1 << 32):
        calls.append(("ioctl", 16, [NOWHERE, request, 0]))
    for domain in (1, 2, 10, 16, 17, 38, 40):
        for kind in (1, 2, 3, 5, 1 | 0o2000000):
            calls.append(("socket", 41, [domain, kind, dice.choice([0, 6, 17, 1])]))
    for protection in (0, 1, 3, 4, 5, 6, 7, 7 | 1 << 40):
        calls.append(("mprotect", 10, [4096, 4096, protection]))
    for level, option in ((1, 2), (1, 9), (1, 25), (0, 4), (6, 1), (41, 57), (99, 1)):
        calls.append(("setsockopt", 54, [NOWHERE, level, option, 0, 0]))
    for command in (1, 2, 3, 1024, 1033, 1036, 999):
        calls.append(("fcntl", 72, [NOWHERE, command, 0]))
    for _ in range(40):
        calls.append(("ioctl", 16, [NOWHERE, dice.choice([0x5400, 0x8900, 0x1200, 0x4000]) + dice.randrange(64), 0]))
    return calls


PROBE = r"""
import ctypes, errno, json, sys
libc = ctypes.CDLL(None, use_errno=True)
for name, number, arguments in json.loads(sys.argv[1]):
    result = libc.syscall(number, *[ctypes.c_ulong(a & (1 << 64) - 1) for a in arguments])
    print(json.dumps(None if result >= 0 else errno.errorcode[ctypes.get_errno()]))
"""
OF_FILTERS = {"EPERM", "ENOSYS", "ENOTTY", "EAFNOSUPPORT", "ENOPROTOOPT"}


def simulate(sg, profile, name, arguments):
    done = sg.cli("syscalls", "--json", "--simulate", profile, name, "--", *[str(a) for a in arguments])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def agrees(said, got):
    """What one filter is said to answer, and what came of the call."""
    if said["action"] == "error":
        return got == said["error"]
    return got not in OF_FILTERS


def test_kernel_and_session(sg):
    """Over a sample: the kernel under the exported filter, and a session, answer what is said."""
    calls = sample()
    profile = sg.profile(PROFILE)
    text = json.dumps(calls)
    target = os.path.join(sg.work, "home", "filter.bpf")
    compiled(sg, PROFILE, "--to", "seccomp-bpf", "--approximate", "-o", target)
    loader = LOADER.replace("sys.argv[2]]", "sys.argv[2], sys.argv[3]]")
    done = subprocess.run(sg.command(["/usr/bin/python3", "-c", loader, target, PROBE, text]), env=sg.environment(), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    kernel = [json.loads(line) for line in done.stdout.splitlines()]
    ran = sg.run(PROFILE, "/usr/bin/python3", "-c", PROBE, text)
    session = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(kernel) == len(calls) == len(session), done.stdout + ran.stderr
    allowed = refused = 0
    for (name, number, arguments), by_kernel, by_session in zip(calls, kernel, session):
        said = simulate(sg, profile, name, arguments)
        assert said["number"] == number and agrees(said["exported"], by_kernel), (name, arguments, said, by_kernel)
        if said["session"]["action"] != "ask":
            assert agrees(said["session"], by_session), (name, arguments, said, by_session)
        allowed += said["exported"]["action"] == "allow"
        refused += said["exported"]["action"] == "error"
    assert allowed > 20 and refused > 40, (allowed, refused)


def test_words(sg):
    """Names of values, numbers in any base, and an answer that says by which row and what would give it."""
    profile = sg.profile(PROFILE)
    same = [sg.cli("syscalls", "--simulate", profile, "mmap", "0", "4096", prot).stdout for prot in ("PROT_EXEC|PROT_WRITE", "6", "0x6", "2|PROT_EXEC")]
    assert len(set(same)) == 1 and "refused with EPERM" in same[0] and "row 1 of" in same[0] and 'flag "jit"' in same[0], same
    done = sg.cli("syscalls", "--simulate", profile, "ioctl", "0", "TIOCSTI", "0")
    assert "refused with EPERM" in done.stdout and "TIOCSTI" in done.stdout and "no flag gives it" in done.stdout, done.stdout
    done = sg.cli("syscalls", "--simulate", profile, "connect", "3")
    assert "exported" in done.stdout and "asked of the supervisor" in done.stdout, done.stdout
    done = sg.cli("syscalls", "--simulate", "untrusted", "build", "socket", "AF_UNIX", "SOCK_STREAM")
    assert done.stdout.count("allowed") == 2, done.stdout
    assert sg.cli("syscalls", "--simulate", profile, "41", "AF_INET", "SOCK_STREAM", "--", "-1").stdout.startswith("socket(0x2, 0x1, 0xffffffffffffffff)")


@pytest.mark.parametrize("call, flag", [("ptrace", "debug"), ("kexec_load", "reboot"), ("keyctl", "keyring"), ("clone", "fork"), ("socket", "raw")])
def test_the_flag_that_would_give_it(sg, call, flag):
    """Also where nothing of the profile names that flag or one beside it."""
    arguments = {"socket": ["AF_PACKET", "SOCK_RAW"], "clone": ["SIGCHLD"]}.get(call, [])
    for profile in ("[Runtime]\nFlags = ['start']\n", ""):
        done = sg.cli("syscalls", "--simulate", sg.profile(profile), call, *arguments)
        assert "refused with EPERM" in done.stdout and 'the flag "%s" gives it' % flag in " ".join(done.stdout.split()), (profile, done.stdout, done.stderr)


NUMBERS = r"""
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
for number in (500, 511, 512, 999, 0x40000000 | 39):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if libc.syscall(number, 0) >= 0 else ctypes.get_errno())
    status = os.waitpid(pid, 0)[1]
    print(number, "killed" if os.WIFSIGNALED(status) else errno.errorcode.get(os.WEXITSTATUS(status)))
"""


def test_numbers_that_no_call_has(sg):
    """Unknown ones and those of x32: what is said is what a container's, the program's and a session's filter do."""
    need("crun")
    profile, target = sg.profile(PROFILE), os.path.join(sg.work, "home", "filter.bpf")
    compiled(sg, PROFILE, "--to", "seccomp-bpf", "--approximate", "-o", target)
    what = containers.config(["/usr/bin/python3", "-c", NUMBERS])
    what["linux"]["seccomp"] = json.loads(compiled(sg, PROFILE, "--to", "seccomp", "--approximate"))
    container = containers.run(sg, what)
    program = subprocess.run(sg.command(["/usr/bin/python3", "-c", LOADER, target, NUMBERS]), env=sg.environment(), capture_output=True, text=True,
                             timeout=60, check=False)
    session = sg.run(PROFILE, "/usr/bin/python3", "-c", NUMBERS)
    rows = [dict(line.split() for line in done.stdout.splitlines()) for done in (container, program, session)]
    assert [len(row) for row in rows] == [5, 5, 5], (container.stderr, program.stderr, session.stderr)
    for number in rows[0]:
        said = simulate(sg, profile, number, [])
        exported = {"kill": "killed"}.get(said["exported"]["action"], said["exported"].get("error"))
        assert said["call"] is None and said["number"] == int(number), said
        assert (exported, said["session"]["error"]) == (rows[0][number], rows[2][number]), (said, rows)
        words = sg.cli("syscalls", "--simulate", profile, hex(int(number))).stdout
        assert rows[1][number] == "ENOSYS" and "by the program for the kernel, refused with ENOSYS" in " ".join(words.split()), (rows, words)
        assert words.startswith(hex(int(number)) + "\n"), words


@pytest.mark.parametrize("arguments, said", [
    ([], "usage"),
    (["untrusted"], "usage"),
    (["untrusted", "no_such_call"], "system call"),
    (["untrusted", "0x100000000"], "32 bits"),
    (["untrusted", "socket", "AF_INT"], "AF_INET"),
    (["untrusted", "socket", "1x"], "no number"),
    (["untrusted", "socket", ""], "no number"),
    (["untrusted", "socket", "1|"], "no number"),
    (["untrusted", "getpid", "1", "2", "3", "4", "5", "6", "7"], "at most"),
    (["no-such-profile", "getpid"], "no-such-profile"),
    (["no-such-profile", "999"], "no-such-profile"),
])
def test_wrong_usage(sg, arguments, said):
    done = sg.cli("syscalls", "--simulate", *arguments)
    assert done.returncode in (1, 2) and said in done.stderr and done.stdout == "", done.stderr
