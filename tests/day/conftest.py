"""The working day: what people do all day, on a real terminal, with ShellGuard and without it.

The fixture `day` is the fixture `sg` of tests/live with a home of the user's own, where the user database says it is, and a
project folder in it. As root everything is run in a mount namespace of its own, so that nothing of the host's /root, /etc
and so on is touched.
"""
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile

import pytest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)


def load_live():
    """tests/live/conftest.py under a name of its own: both folders have a conftest."""
    spec = importlib.util.spec_from_file_location("live_conftest", os.path.join(os.path.dirname(FOLDER), "live", "conftest.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["live_conftest"] = module
    spec.loader.exec_module(module)
    return module


live = load_live()
prefix, sg = live.prefix, live.sg

from terminal import Terminal  # noqa: E402  (after the path is set)
from town import Town  # noqa: E402

BASHRC = """case $- in *i*) ;; *) return ;; esac
PS1='\\u@\\h:\\w\\$ '
HISTFILE=~/.bash_history
"""
GITCONFIG = "[user]\n\tname = Day\n\temail = day@example.org\n[init]\n\tdefaultBranch = main\n"


class Day:
    """One user's day: `inside` and `outside` run the same thing, with and without ShellGuard."""

    def __init__(self, sg, etc):
        self.sg, self.who = sg, sg.who
        self.setup = []            # shell commands run as root in the private mount namespace before each program
        self.network = []          # what a command is put behind to be in another network namespace
        self.private = os.getuid() == 0
        if self.private:
            self.name = "root" if sg.who == "root" else live.USER
            self.home = os.path.join(sg.work, "home")
            self.real_home = "/root" if sg.who == "root" else "/home/" + live.USER
            os.chmod(self.home, 0o700)
            self.setup.append("mount --bind '%s' /etc" % etc)
            if sg.who == "user":
                self.setup.append("mount -t tmpfs -o mode=0755 none /home; mkdir '%s'" % self.real_home)
            self.setup.append("mount --bind '%s' '%s'" % (self.home, self.real_home))
        else:
            self.name = pwd.getpwuid(os.getuid()).pw_name
            self.home = self.real_home = pwd.getpwuid(os.getuid()).pw_dir
        self.project = os.path.join(self.real_home, "sg-project-%d" % os.getpid())
        self.make(os.path.join(self.home, os.path.basename(self.project)))
        if self.private:
            self.file(os.path.join(self.home, ".bashrc"), BASHRC)
            self.file(os.path.join(self.home, ".gitconfig"), GITCONFIG)

    def seen(self, path):
        """Where a path of the user's lies for us, outside of the private namespace."""
        return path.replace(self.real_home, self.home, 1) if path.startswith(self.real_home) else path

    def own(self, path):
        if os.getuid() == 0:
            os.chown(path, self.sg.uid, self.sg.uid)

    def make(self, path):
        path = self.seen(path)
        os.makedirs(path, exist_ok=True)
        self.own(path)
        return path

    def file(self, path, text, mode=0o644):
        path = self.seen(os.path.join(self.project, path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        self.own(path)
        return path

    def read(self, path):
        with open(self.seen(os.path.join(self.project, path)), encoding="utf-8", errors="replace") as f:
            return f.read()

    def environment(self, extra=None):
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "HOME": self.real_home, "LANG": "C.UTF-8",
               "TERM": "xterm", "SHELL": "/bin/bash", "USER": self.name, "LOGNAME": self.name,
               "XDG_STATE_HOME": os.path.join(self.sg.work, "state")}
        env.update(extra or {})
        return env

    def _wrap(self, command):
        """As this user, in the private mount namespace, in the project."""
        inner = ["sh", "-c", 'cd "$0" && exec "$@"', self.project] + self.sg.command(command)
        if not self.private:
            return inner
        return self.network + ["unshare", "--mount", "--propagation", "private", "sh", "-c", "set -e; %s; exec \"$@\"" % "; ".join(self.setup), "sh"] + inner

    def guarded(self, *command, profile="developer", options=()):
        self.sg.count += 1
        self.log = os.path.join(self.sg.work, "day%d.jsonl" % self.sg.count)
        return self._wrap([self.sg.program, "run", "-p", profile, "--record", self.log] + list(options) + ["--"] + list(command))

    def plain(self, *command):
        return self._wrap(list(command))

    def _run(self, command, stdin, timeout, env):
        done = subprocess.run(command, input=stdin, env=self.environment(env), capture_output=True, timeout=timeout, check=False)
        return live.Result(done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="surrogateescape"), "")

    def inside(self, script, profile="developer", stdin=b"", timeout=120, env=None, options=()):
        """A script of sh in a world."""
        result = self._run(self.guarded("/bin/sh", "-c", script, profile=profile, options=options), stdin, timeout, env)
        return live.Result(result.status, result.stdout, result.stderr, self.log)

    def outside(self, script, stdin=b"", timeout=120, env=None):
        """The same script without ShellGuard."""
        return self._run(self.plain("/bin/sh", "-c", script), stdin, timeout, env)

    def cli(self, *arguments):
        """Another command of the program, outside of any world."""
        return self._run(self._wrap([self.sg.program] + list(arguments)), b"", 60, None)

    def both(self, script, **kwargs):
        """Runs it outside, then inside, each in the project as it was; the two must give the same. Returns the inner one."""
        here = self.seen(self.project)
        copy = here + ".before"
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-a", here, copy], check=True)
        without = self.outside(script, **kwargs)
        for name in os.listdir(here):
            path = os.path.join(here, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        subprocess.run(["cp", "-a", copy + "/.", here], check=True)
        shutil.rmtree(copy)
        within = self.inside(script, **kwargs)
        assert (within.status, within.stdout) == (without.status, without.stdout), within.stderr + without.stderr
        return within

    def told(self, script, **kwargs):
        """What a person sees who runs the script of sh in a world: everything on one terminal, and our lines among it."""
        with self.terminal("/bin/sh", "-c", script, **kwargs) as t:
            t.wait(120)
            return t.text

    def terminal(self, *command, guarded=True, env=None, rows=24, columns=80, **kwargs):
        return Terminal(self.guarded(*command, **kwargs) if guarded else self.plain(*command), self.environment(env), "/",
                        rows=rows, columns=columns)

    def reported(self, object_, log=None):
        """The refusals of that object in the record of the last session."""
        return live.Result(0, "", "", log or self.log).refusals(object_)

    def close(self):
        if not self.private:
            shutil.rmtree(self.project, ignore_errors=True)


@pytest.fixture(scope="session")
def etc():
    """A copy of /etc in which the user that tests make has a home and a shell."""
    if os.getuid() != 0:
        yield None
        return
    live.make_user()
    folder = tempfile.mkdtemp(prefix="sg-etc-", dir="/var/tmp")
    subprocess.run(["cp", "-a", "/etc/.", folder], check=True)
    path = os.path.join(folder, "passwd")
    with open(path, encoding="utf-8") as f:
        lines = [line.rstrip("\n").split(":") for line in f]
    with open(path, "w", encoding="utf-8") as f:
        for fields in lines:
            if fields[0] == live.USER:
                fields[5:7] = ["/home/" + live.USER, "/bin/bash"]
            f.write(":".join(fields) + "\n")
    # A password that nothing matches, but no locked account: people log in with a key.
    subprocess.run(["sed", "-i", "s/^%s:[^:]*:/%s:*:/" % (live.USER, live.USER), os.path.join(folder, "shadow")], check=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers(etc):
    """The town, for the whole run: its servers are started as they are asked for."""
    if os.getuid() != 0:
        live.cannot("a network of its own needs root")
    for program in ("ip", "nsenter"):
        need(program)
    one = Town(etc, live.USER)
    yield one
    one.close()


@pytest.fixture
def town(servers, day):
    """The town, with the day's programs on its near side."""
    day.network = ["nsenter", "--net=/proc/%d/ns/net" % servers.near]
    return servers


@pytest.fixture
def day(sg, etc):
    one = Day(sg, etc)
    yield one
    one.close()


@pytest.fixture(params=["inside", "outside"])
def both_ways(request):
    """A step that is done twice: with ShellGuard, and the very same without it."""
    return request.param == "inside"


def need(program):
    """Skips, by name, what needs a program that is not installed."""
    path = shutil.which(program, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    if path is None:
        live.cannot("%s is not installed" % program)
    return path
