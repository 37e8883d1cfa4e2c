"""Back ends of this host: which there are, and profiles of AppArmor that are loaded, hold, and are taken away."""
import os
import shutil
import subprocess

import pytest

from conftest import BASE
from test_compile import FILES, answers, need

NAME = "loading test/1"
PROFILE = "shellguard-loading%20test%2f1"
FOLDER, KERNEL = "/etc/apparmor.d", "/sys/kernel/security/apparmor"
MORE = r"""
import ctypes, signal
libc = ctypes.CDLL(None, use_errno=True)
def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
attempt("read denied", lambda: open(home + "/read/secret").read())
attempt("read by link", lambda: open(home + "/linked/behind").read())
attempt("denied at the end of a link", lambda: open(home + "/place/behind").read())
attempt("write denied", lambda: write(home + "/write/deep/secret"))
attempt("write beside it", lambda: write(home + "/write/deep/other"))
attempt("move above it", lambda: os.rename(home + "/write/deep", home + "/write/moved"))
attempt("link to it", lambda: os.link(home + "/write/deep/secret", home + "/write/linked"))
attempt("mount", lambda: call(libc.mount(b"none", home.encode(), b"tmpfs", ctypes.c_ulong(0), None)))
attempt("chroot", lambda: os.chroot(home))
attempt("signal", lambda: os.kill(os.getppid(), 0))
attempt("trace", lambda: call(libc.ptrace(16, os.getppid(), None, None)))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close())
def ask(file, what):
    with open("/proc/self/attr/" + file, "wb", buffering=0) as f:
        f.write(what)
def load(path):
    if subprocess.run(["/usr/lib64/ld-linux-x86-64.so.2", path], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise OSError(errno.EACCES, "")
attempt("out of the profile", lambda: ask("current", b"changeprofile unconfined"))
attempt("out at the next execution", lambda: ask("exec", b"exec unconfined"))
attempt("by the loader", lambda: load(home + "/read/true"))
attempt("by the loader, given", lambda: load("/usr/bin/true"))
attempt("times of denied", lambda: os.utime(home + "/write/deep/secret"))
"""


def is_active():
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as f:
            return f.read(1) == "Y"
    except OSError:
        return False


def loaded():
    with open(os.path.join(KERNEL, "profiles"), encoding="utf-8") as f:
        return {line.rsplit(" ", 1)[0] for line in f}


def text_of(sg):
    return 'Name = "%s"\n' % NAME + BASE.replace('Flags = ["tmp"]', "").replace(
        '"/etc/**"]', '"/etc/**", "HOME/read/**", "HOME/place/**", \'HOME/$\\{x\\}/$y\']\nReadWrite = ["HOME/write/**"]\n'
        'Deny = ["HOME/read/secret", "HOME/write/deep/secret", "HOME/linked/behind"]').replace("HOME", sg.home) + """
[Networking]
Flags = ["loopback"]
"""


def test_installed(sg):
    """Every back end of this host has a column; of the others it says why not. Nothing is written."""
    before = sorted(os.listdir(sg.cwd))
    done = sg.cli("compile", sg.profile(BASE), "--installed")
    assert done.returncode == 0 and sorted(os.listdir(sg.cwd)) == before
    lines = done.stdout.splitlines()
    assert lines[0] == "+  enforced" and "not enforced" in lines[1]
    lines = lines[lines.index("") + 1:]
    heading = next(i for i, line in enumerate(lines) if line.endswith(" rule"))
    columns = [line.split()[-1] for line in lines[:heading]]
    assert "seccomp-bpf" in columns and lines[heading].split()[:-1] == ["|"] * len(columns)
    assert len(columns) < 3 or all(len(line) <= 80 or " " not in line.strip() for line in lines), done.stdout
    assert ("seccomp" in columns) == any(shutil.which(name) for name in ("crun", "runc", "youki", "podman", "docker"))
    assert ("apparmor" in columns) == is_active() and ("apparmor is left out: AppArmor is not active" in done.stderr) != is_active()


def test_what_cannot_be_loaded_is_not(sg):
    profile = sg.profile(BASE)
    done = sg.cli("compile", profile, "--to", "seccomp", "--load", "--approximate")
    assert done.returncode == 2 and "handed over" in done.stderr
    reason = "AppArmor is not active" if not is_active() else "root's to load" if sg.uid != 0 else None
    folder = os.path.join(sg.home, "out")
    os.mkdir(folder)
    for options in (["--load"], ["--load", "--approximate"], ["--load", "--approximate", "-o", folder]) if reason else ():
        done = sg.cli("compile", profile, "--to", "apparmor", *options)
        assert done.returncode == 125 and "cannot be loaded: " in done.stderr and reason in done.stderr
        assert done.stderr.count("\n") == 1 and os.listdir(folder) == []  # no matrix, no artefact
    if reason is None:
        done = sg.cli("compile", profile, "--to", "apparmor", "--load")
        assert done.returncode == 1 and "--approximate" in done.stderr
    done = sg.cli("compile", profile, "--to", "seccomp,capabilities", "--load", "--approximate", "-o", folder)
    assert done.returncode == 1 and "leave --load out" in done.stderr and os.listdir(folder) == []
    assert not [name for name in os.listdir(FOLDER) if "shellguard" in name]
    done = sg.cli("unload", "nobody")
    assert done.returncode == (125 if is_active() and sg.uid != 0 else 1), done.stderr


def prepare(sg):
    for folder in ("read", "other", "write", "write/deep", "${x}", "place"):
        sg.write("file", "old", folder=os.path.join(sg.home, folder))
    sg.write("$y", "old", folder=os.path.join(sg.home, "${x}"))
    sg.write("behind", "old", folder=os.path.join(sg.home, "place"))
    for folder in ("read", "write/deep"):
        sg.write("secret", "old", folder=os.path.join(sg.home, folder))
    os.symlink("place", os.path.join(sg.home, "linked"))
    shutil.copy("/usr/bin/true", os.path.join(sg.home, "read", "true"))


def under(sg, *command):
    return subprocess.run(["aa-exec", "-p", PROFILE, "--", *command], env=sg.environment(), capture_output=True, text=True, timeout=120, check=False)


def judge_load(sg):
    """In the kernel: what the profile gives, and nothing of the rest."""
    done = sg.cli("compile", sg.profile(text_of(sg)), "--to", "apparmor", "--load", "--approximate", "-q")
    assert done.returncode == 0, done.stderr
    assert PROFILE in loaded() and os.path.exists(os.path.join(FOLDER, PROFILE)) and not os.path.exists(FOLDER + "/.shellguard.new")
    done = under(sg, "/usr/bin/python3", "-c", FILES + MORE, sg.home)
    assert done.returncode == 0, done.stderr
    said = answers(done.stdout)
    given = {"read given", "list given", "write given", "make given", "rename given", "remove given", "folder", "symlink", "dollar", "null",
             "execute given", "write beside it", "by the loader, given",
             "times of denied"}  # which the matrix says are not looked at
    assert {name for name, answer in said.items() if answer == "ok"} == given, said
    assert said["port"] == said["other port"] == "ECONNREFUSED"  # AppArmor sees no addresses
    other = {name: answer for name, answer in said.items() if name not in given and "port" not in name and answer not in ("EACCES", "EPERM")}
    assert other == {}


def test_loading(sg):
    """Loaded as root where AppArmor is active, and only there; what programs run in stays; what was cut short goes with the next one."""
    if not is_active() or sg.uid != 0:
        done = sg.cli("compile", sg.profile(text_of(sg)), "--installed", "--load", "--approximate", "-q")
        assert done.returncode == (125 if is_active() else 1), done.stderr
        return
    need("aa-exec")
    prepare(sg)
    try:
        judge_load(sg)
        with subprocess.Popen(["aa-exec", "-p", PROFILE, "--", "/usr/bin/sleep", "600"], env=sg.environment()) as sleeper:
            while True:
                with open("/proc/%d/attr/current" % sleeper.pid, encoding="ascii") as f:
                    if PROFILE in f.read():
                        break
            done = sg.cli("unload", NAME)
            assert done.returncode == 125 and "programs run in" in done.stderr and PROFILE in loaded(), done.stderr
            sleeper.kill()
        stale = 'abi <abi/3.0>,\nprofile "shellguard-stale" { /etc/passwd r, }\n'
        subprocess.run(["apparmor_parser", "-r", "-K"], input=stale.encode(), check=True, timeout=60)
        assert "shellguard-stale" in loaded()
        with open(FOLDER + "/.shellguard.new", "w", encoding="ascii") as f:
            f.write("cut sh")
        done = sg.cli("unload", NAME)
        assert done.returncode == 0, done.stderr
        assert not loaded() & {PROFILE, "shellguard-stale"} and not [name for name in os.listdir(FOLDER) if "shellguard" in name]
        assert sg.cli("unload", NAME).returncode == 1
    finally:
        if PROFILE in loaded():
            sg.cli("unload", NAME)


@pytest.mark.parametrize("arguments", [["unload"], ["compile", "--installed"]])
def test_wrong_usage(sg, arguments):
    done = sg.cli(*arguments)
    assert done.returncode == 2 and "usage" in done.stderr
