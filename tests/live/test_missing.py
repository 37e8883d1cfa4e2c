"""What every world needs, really missing: the start is refused by name, and nothing has run.

Nothing is pretended here: a namespace is made impossible by its limit (/proc/sys/user, in a user namespace of the test's
own), a system call by a filter that the launcher brings along, as a container's does.
"""
import os
import shutil
import subprocess

import pytest

from conftest import BASE, cannot

# Namespaces of which none may be made: as many of the user namespace's own as the number says, less one.
LIMITS = {"user-namespaces": ("user", 0), "nested-user-namespaces": ("user", 1), "mount-namespaces": ("mnt", 0),
          "pid-namespaces": ("pid", 0), "network-namespaces": ("net", 0), "ipc-namespaces": ("ipc", 0), "uts-namespaces": ("uts", 0),
          "cgroup-namespaces": ("cgroup", 0)}
LIMITED = ("echo {1} > /proc/sys/user/max_{0}_namespaces || exit 99; exec \"$@\"")

# (number of the call on x86_64, argument or None, "&" or "==", value, errno)
ENOSYS, EPERM, EIO, EINVAL = 38, 1, 5, 22
CALLS = {
    "mount-api": [(n, None, "", 0, ENOSYS) for n in (428, 429, 430, 432)],
    "mount-setattr": [(442, None, "", 0, ENOSYS)],
    "seccomp-notify": [(317, 1, "&", 8, EINVAL)],
    "seccomp-wait-killable": [(317, 1, "&", 32, EINVAL)],
    "seccomp-addfd-send": [(16, 1, "==", 0x40182103, EINVAL)],
    "pidfd-getfd": [(438, None, "", 0, ENOSYS)],
    "read-memory": [(310, None, "", 0, ENOSYS)],
    "ptrace-seize": [(101, 0, "==", 0x4206, EPERM)],
}
FILTER = """
import ctypes, os, struct, sys
rules = %r
code = [(0x20, 0, 0, 0)]
for number, argument, how, value, error in rules:
    body = [(6, 0, 0, 0x50000 | error)]
    if argument is not None:
        body = [(0x20, 0, 0, 16 + 8 * argument), (0x45 if how == "&" else 0x15, 0, 1, value)] + body + [(0x20, 0, 0, 0)]
    code += [(0x15, 0, len(body), number)] + body
code.append((6, 0, 0, 0x7fff0000))
text = b"".join(struct.pack("HBBI", *c) for c in code)
keep = ctypes.create_string_buffer(text, len(text))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
program = Program(len(code), ctypes.addressof(keep))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
"""


def run(sg, prefix):
    """`run` of a command that would leave a mark, behind the prefix."""
    log = os.path.join(sg.work, "log.jsonl")
    profile = sg.profile(BASE.replace("[Runtime]", 'ReadWrite = ["%s/**"]\nDeny = ["%s/never"]\n[Runtime]' % (sg.cwd, sg.cwd)))
    command = [sg.program, "run", "--record", log, "-p", profile, "--", "/bin/sh", "-c", "echo ran; echo ran > made"]
    return subprocess.run(sg.command(list(prefix) + command), env=sg.environment(), cwd=sg.cwd, capture_output=True, text=True,
                          timeout=60), log


def is_refused(sg, feature, prefix):
    done, log = run(sg, prefix)
    assert done.returncode == 125 and done.stdout == "", (done.returncode, done.stdout, done.stderr)
    # A session that has just ended may still count as one of the two namespaces that are allowed then.
    names = [feature, "user-namespaces"] if feature == "nested-user-namespaces" else [feature]
    assert any("missing: %s" % name in done.stderr for name in names) and "What helps" in done.stderr, done.stderr
    assert not os.path.exists(os.path.join(sg.cwd, "made"))
    assert not os.path.exists(log) or b'"kind":"exec"' not in open(log, "rb").read()


@pytest.mark.parametrize("feature", LIMITS)
def test_no_namespace(sg, feature):
    is_refused(sg, feature, ["unshare", "-Ur", "/bin/sh", "-c", LIMITED.format(*LIMITS[feature]), "sh"])


@pytest.mark.parametrize("feature", CALLS)
def test_no_call(sg, feature):
    if os.uname().machine != "x86_64":
        cannot("the filter names system calls of x86_64")
    is_refused(sg, feature, ["/usr/bin/python3", "-c", FILTER % CALLS[feature]])


def test_no_proc(sg):
    """Where /proc is covered in parts, as container engines do it, the kernel lets nobody mount another one."""
    is_refused(sg, "proc-mount", ["unshare", "-Urmpf", "--mount-proc", "/bin/sh", "-c",
                                  "mount --bind /dev/null /proc/uptime && exec \"$@\"", "sh"])


def test_proc_that_cannot_be_listed(sg):
    """What is not listed is not covered: where the listing fails, a world that sees more than processes does not start."""
    if os.uname().machine != "x86_64":
        cannot("the filter names system calls of x86_64")
    shown = sg.profile(BASE + '[Misc]\nFlags = ["sysinfo"]\n')
    failing = ["/usr/bin/python3", "-c", FILTER % [(217, 2, "==", 4096, EIO)]]  # getdents64 with the buffer that is used for it
    for prefix, profile, status in ((failing, shown, 125), (failing, sg.profile(BASE), 0), ([], shown, 0)):
        done = subprocess.run(sg.command(prefix + [sg.program, "run", "-p", profile, "--", "/bin/echo", "ran"]), env=sg.environment(),
                              cwd=sg.cwd, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (status, "ran\n" if status == 0 else ""), done.stderr
        assert ("cannot list /proc: Input/output error" in done.stderr) == (status != 0), done.stderr


def test_no_time_namespace(sg):
    """Done without: the world sees the host's clocks."""
    done, _ = run(sg, ["unshare", "-Ur", "/bin/sh", "-c", LIMITED.format("time", 0), "sh"])
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr


def test_the_launchers_themselves(sg):
    """Without the obstacle the same command runs there."""
    for prefix in (["unshare", "-Ur", "/bin/sh", "-c", LIMITED.format("pid", 100), "sh"], ["/usr/bin/python3", "-c", FILTER % []]):
        done, _ = run(sg, prefix)
        assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
        os.unlink(os.path.join(sg.work, "log.jsonl"))


@pytest.mark.parametrize("number", [3, 16, 48, 64, 256, 1023])
def test_few_descriptors(sg, number):
    """A limit that a session cannot work within is said, before anything has run; half-way both sides would wait."""
    done, log = run(sg, ["prlimit", "--nofile=%d:%d" % (number, number)])
    assert done.returncode != 0 and done.stdout == "" and not os.path.exists(log), (done.returncode, done.stdout)
    assert "descriptors" in done.stderr or number < 8, done.stderr  # with a handful not even the loader comes so far


def test_enough_descriptors(sg):
    for limits in ("1024:1024", "48:2048"):
        done, log = run(sg, ["prlimit", "--nofile=" + limits])
        assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
        os.unlink(log)


def test_a_session_within_a_session(sg):
    """A world makes no worlds: `run` says so at once, whatever else it would have met first; the environment alone decides nothing."""
    copy = sg.write("shellguard", "")
    shutil.copy(sg.program, copy)
    os.chmod(copy, 0o755)
    profile = BASE.replace('Exec = ["/usr/**"]', 'Exec = ["/usr/**", "%s"]' % copy)
    done = sg.shell(profile, "%s run -- true; echo $?; %s run --dry-run -- true; echo $?" % (copy, copy))
    assert done.stdout == "125\n125\n" and done.stderr.count("inside of a ShellGuard session") == 2, done.stderr
    outside = sg.run(BASE, "/bin/true", env={"SHELLGUARD_SESSION": "20200101T000000Z-1"})
    assert outside.status == 0, outside.stderr
