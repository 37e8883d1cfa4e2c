"""What the trunk holds from the first day (docs/architecture.md lists the points and all of their tests)."""
import os
import re
import subprocess

import pytest

from conftest import BASE
from test_record import below

MEDIATED = BASE.replace("[Runtime]", 'ReadWrite = ["{0}/**"]\nDeny = ["{0}/never*"]\n[Runtime]')


def test_the_caller_s_streams_are_relayed(sg):
    """Point 1: what stands on 0-2 inside is the world's own, whatever it was outside, and gives no other right to it."""
    kept = sg.write("kept", "kept\n")
    script = ("import os, stat\nfor fd in (0, 1, 2):\n s = os.fstat(fd); print(fd, stat.S_ISFIFO(s.st_mode), os.readlink('/proc/self/fd/%d' % fd))\n"
              "print('end', flush=True)\n"
              "for fd in (0, 1, 2):\n"
              "    for act in (lambda: os.ftruncate(fd, 0), lambda: os.open('/proc/self/fd/%d/..' % fd, os.O_RDONLY), lambda: os.lseek(fd, 0, 0),\n"
              "                lambda: os.fchmod(fd, 0o777)):\n"
              "        try: act()\n        except OSError: pass\n")
    process, _ = sg.start(BASE, "/usr/bin/python3", "-c", script, stdin=open(kept, "r+"), stdout=open(kept, "a"), stderr=subprocess.PIPE)
    _, err = process.communicate(timeout=60)
    text = open(kept, encoding="ascii").read()
    assert process.returncode == 0 and text.startswith("kept\n"), (text, err)
    assert [line.split(" ")[:2] for line in text.splitlines()[1:]] == [["0", "True"], ["1", "True"], ["2", "True"], ["end"]], text
    assert sg.cwd not in text and os.stat(kept).st_mode & 0o777 == 0o644


OPENED = """
import os, re
mounts = {line.split()[0]: line.split() for line in open("/proc/self/mountinfo")}
for name, flags in (("old", os.O_RDONLY), ("old", os.O_RDWR), ("new", os.O_RDWR | os.O_CREAT | os.O_EXCL)):
    fd = os.open(name, flags, 0o600)
    number = re.search(r"mnt_id:\\s*(\\d+)", open("/proc/self/fdinfo/%d" % fd).read()).group(1)
    print(number in mounts and mounts[number][4] == os.getcwd())
"""


def test_openings_go_through_the_caller_s_mount(sg):
    """Point 2: a descriptor that was given is one of the world's own mount, so that the mount's end or turn binds it."""
    sg.write("old", "x")
    done = sg.run(MEDIATED.replace("{0}", sg.cwd) + 'Cwd = "%s"\n' % sg.cwd, "/usr/bin/python3", "-c", OPENED)
    assert done.stdout == "True\n" * 3, (done.stdout, done.stderr)
    assert done.of("grant", object=os.path.join(sg.cwd, "old"))


WATCH = """
import ctypes, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1]
fd = os.open(path, os.O_RDONLY)
folder = os.open(os.path.dirname(path), os.O_RDONLY)
page = ctypes.c_ubyte(0)
hint = ctypes.c_uint64(2)
memory = libc.mmap
memory.restype = ctypes.c_void_p
address = memory(None, ctypes.c_size_t(4096), 1, 2, fd, ctypes.c_size_t(0))
def say(name, result):
    print(name, "works" if result >= 0 else os.strerror(ctypes.get_errno()))
say("inotify", libc.inotify_init1(0))
say("dnotify", libc.fcntl(folder, 1026, 0x1))
say("lease", libc.fcntl(fd, 1024, 0))
say("hint", libc.fcntl(fd, 1036, ctypes.byref(hint)))
say("mincore", libc.syscall(27, ctypes.c_void_p(address), ctypes.c_size_t(4096), ctypes.byref(page)))
say("cachestat", libc.syscall(451, fd, None, None, 0))
say("fanotify", libc.syscall(300, 0x200, 0))
say("read", len(os.read(fd, 10)))
"""


@pytest.mark.parametrize("flag", [False, True])
def test_watching_needs_the_flag(sg, flag):
    """Point 7: what tells one world of what another does to a shared file."""
    path = sg.write("shared", "text\n")
    profile = BASE.replace('ReadOnly = [', 'ReadOnly = ["%s/**", ' % sg.cwd)
    if flag:
        profile = profile.replace('"timers"', '"timers", "watch"')
    done = sg.run(profile, "/usr/bin/python3", "-c", WATCH, path)
    result = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert result.pop("read") == "works", done.stderr
    if flag:
        assert result["inotify"] == "works" and result["dnotify"] == "works", result
    else:
        assert all(v in ("Operation not permitted", "Function not implemented") for v in result.values()), result


def test_nothing_runs_before_the_first_process_is_sealed(sg):
    """Until it executes the command shares PID 1's memory: its program runs when nobody can look into that any more."""
    for _ in range(12):
        process = sg.run(BASE, "/bin/readlink", "/proc/1/exe")
        assert process.status == 1 and not process.stdout, process
    # What is never executed: the first process ends with the status all the same.
    assert sg.run(BASE, "/bin/no-such-program").status == 127


def test_the_first_process_holds_nothing(sg):
    """Point 10: PID 1 has a filter of its own, no descriptor, no capability; only where we are root can its descriptors be listed."""
    process, _ = sg.start(BASE, "/bin/sh", "-c", "echo up; read x", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    pid = below(process.pid)["sg-init"]
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    descriptors = os.listdir("/proc/%d/fd" % pid) if os.getuid() == 0 else []
    process.communicate(b"\n", timeout=30)
    assert descriptors == [] and status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", (descriptors, status)
    assert all(int(status[k], 16) == 0 for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), status
    assert re.search(r"\b1$", status["NSpid"])


def test_proc_shows_what_a_rule_names(sg):
    """The kernel's own files: none without a rule, each that a rule names, none of those that give more than figures; never to write."""
    see = ("for f in diskstats meminfo cmdline pressure/cpu kcore kmsg keys sysrq-trigger; do "
           "head -c 0 /proc/$f 2>/dev/null && echo $f; done; ls /proc | grep -c '^[a-z]'")
    assert sg.shell(BASE, see).stdout.splitlines() == ["2"], "self and thread-self"
    named = BASE.replace('ReadOnly = [', 'ReadOnly = ["/proc/diskstats", "/proc/pressure/**", "/proc/kcore", "/proc/kmsg", "/proc/keys", '
                                         '"/proc/sysrq-trigger", ')
    done = sg.shell(named, see)
    has_pressure = os.path.exists("/proc/pressure/cpu")
    assert done.stdout.splitlines()[:-1] == ["diskstats"] + ["pressure/cpu"] * has_pressure, (done.stdout, done.stderr)
    for text in (named, named + '[Misc]\nFlags = ["sysinfo"]\n'):
        done = sg.shell(text, "for f in pressure/cpu sys/kernel/hostname diskstats; do echo x 2>/dev/null >/proc/$f && echo wrote $f; done; echo end")
        assert done.stdout == "end\n", done.stdout
    denied = named.replace('Exec = [', 'Deny = ["/proc/diskstats"]\nExec = [')
    assert "diskstats" not in sg.shell(denied, see).stdout


def test_the_own_network_is_told_in_proc(sg):
    """Where openings are decided too: its files belong to a root that the world does not have."""
    decided = BASE.replace("Exec = [", 'DenyRead = ["/usr/lib/**.key"]\nExec = [', 1) + '[Misc]\nFlags = ["sysinfo"]\n'
    for profile in (BASE + '[Misc]\nFlags = ["sysinfo"]\n', decided):
        done = sg.shell(profile, "cat /proc/net/dev /proc/self/net/dev /proc/thread-self/net/dev; cat /proc/self/mem /proc/self/syscall")
        assert done.stdout.count(" lo:") == 3 and len(re.findall(r"^ *\w+:", done.stdout, re.M)) == 3, (done.stdout, done.stderr)
