"""enter: one more command in a running world, with what that has and no more."""
import ctypes
import json
import os
import pwd
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import BASE, TIMEOUT, USER, terminal

Terminal, CTRL_C, CTRL_Z = terminal.Terminal, terminal.CTRL_C, terminal.CTRL_Z

WAIT = "echo up; while :; do sleep 0.05; done"
SPACES = ("user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time")


class Session:
    """A running session, and what enters it."""

    def __init__(self, sg, script=WAIT, profile=BASE, options=(), **kwargs):
        self.sg = sg
        self.process, self.log = sg.start(profile, "/bin/sh", "-c", script, options=options, stdin=subprocess.DEVNULL,
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
        assert self.process.stdout.readline() == b"up\n", self.process.stderr.read()
        found = [s for s in map(json.loads, sg.cli("ps", "--json").stdout.splitlines()) if s["pid"] == self.process.pid]
        assert len(found) == 1
        self.id = found[0]["session"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def arguments(self, *command, session=None):
        return self.sg.command([self.sg.program, "enter", session or self.id, "--"] + list(command))

    def enter(self, *command, stdin=b"", session=None, env=None, **kwargs):
        return subprocess.run(self.arguments(*command, session=session), env=self.sg.environment(env), cwd=self.sg.cwd,
                              input=stdin, capture_output=True, timeout=TIMEOUT, **kwargs)

    def shell(self, script, **kwargs):
        return self.enter("/bin/sh", "-c", script, **kwargs)

    def start(self, *command, **kwargs):
        return subprocess.Popen(self.arguments(*command), env=self.sg.environment(), cwd=self.sg.cwd, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)

    def terminal(self, *command):
        return Terminal(self.arguments(*command), self.sg.environment({"TERM": "vt100"}), self.sg.cwd)

    def records(self, kind):
        """What is on the record by now: the auditor writes within a moment."""
        with open(self.log, encoding="utf-8", errors="surrogateescape") as f:
            return [r for r in map(json.loads, f.read().splitlines()) if r["kind"] == kind]


def test_it_is_the_same_world(sg):
    with Session(sg, "echo inside > /tmp/file; " + WAIT) as session:
        done = session.shell("cat /tmp/file; echo back > /tmp/other; cd /proc; for n in %s; do readlink self/ns/$n; done; "
                             "for n in %s; do readlink 2/ns/$n; done" % (" ".join(SPACES), " ".join(SPACES)))
        lines = done.stdout.decode().splitlines()
        assert done.returncode == 0 and lines[0] == "inside", done.stderr
        assert len(lines) == 1 + 2 * len(SPACES) and lines[1:9] == lines[9:]
        assert session.shell("cat /tmp/other").stdout == b"back\n"
        assert not os.path.exists("/tmp/other")


def test_it_has_what_the_first_command_has(sg):
    """Limits, capabilities, no_new_privs, filters, ids, control group, environment and working directory: as process 2 has."""
    profile = BASE + 'Limits = { OpenFiles = 200, Processes = 90, CoreSize = "1MiB" }\nEnv = ["KEPT=1", "SECRET"]\n'
    fields = "^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp|Seccomp_filters|Umask|NStgid):"
    with Session(sg, profile=profile, env={"SECRET": "x y"}) as session:
        for script in ("grep -v '^Max core' %s/limits", "grep -E '" + fields.replace("|NStgid", "") + "' %s/status", "cat %s/cgroup",
                       "cat %s/environ | tr '\\0' '\\n' | grep -v -e PWD= -e ^_= | sort", "readlink %s/cwd", "readlink %s/root",
                       "cat %s/timens_offsets", "cat %s/oom_score_adj"):
            one = session.shell("cd /proc; " + script % "self" if "cwd" not in script else script % "/proc/self")
            two = session.shell("cd /proc; " + script % "2")
            assert one.returncode == 0 and one.stdout == two.stdout and one.stdout, (script, one, two)
        assert b"SECRET=x y\n" in session.shell("env").stdout
        assert session.shell("ulimit -c; ulimit -Hc").stdout == b"0\n0\n"  # an entered command leaves no core


def test_the_network_is_the_worlds(sg):
    server = ("import socket; s = socket.socket(); s.bind(('127.0.0.1', 4711)); s.listen(5); print('up', flush=True)\n"
              "while True:\n c, _ = s.accept(); c.sendall(b'from the world'); c.close()")
    profile = BASE + '[Networking]\nFlags = ["outgoing", "incoming"]\n'
    client = "import socket; print(socket.create_connection(('127.0.0.1', 4711), 5).recv(99).decode())"
    with Session(sg, 'exec /usr/bin/python3 -c "$0"'.replace("$0", server.replace('"', '\\"')), profile=profile) as session:
        done = session.enter("/usr/bin/python3", "-c", client)
        assert done.stdout == b"from the world\n", done.stderr
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", 4711), 5)


def test_exit_status(sg):
    with Session(sg) as session:
        assert session.shell("exit 0").returncode == 0
        assert session.shell("exit 7").returncode == 7
        assert session.shell("kill -TERM $$").returncode == 143
        assert session.shell("kill -KILL $$").returncode == 137
        missing = session.enter("/usr/bin/no-such-program")
        assert missing.returncode == 127 and b"not found" in missing.stderr
        refused = session.enter("/etc/hostname")
        assert refused.returncode == 126 and b"may not be executed" in refused.stderr
        long = session.enter("/bin/echo", *["x" * 1000] * 200)
        assert long.returncode == 125 and b"longer than" in long.stderr
        almost = session.enter("/bin/echo", *["x" * 1000] * 120)
        assert almost.returncode == 0 and len(almost.stdout) == 120 * 1001


def test_pipes_are_relayed(sg):
    data = os.urandom(1 << 20)
    with Session(sg) as session:
        assert session.enter("/bin/cat", stdin=data).stdout == data
        done = session.shell("readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2; ls /proc/self/fd; echo e >&2")
        lines = done.stdout.decode().split()
        assert all(line.startswith("pipe:") for line in lines[:3]) and lines[3:] == ["0", "1", "2", "3"] and done.stderr == b"e\n"
        # /dev/stdout can be opened anew, also as root, where the pipe was root's.
        assert session.shell("echo x > /dev/stdout").stdout == b"x\n"
        with open(os.path.join(sg.work, "out"), "w+b") as out:
            subprocess.run(session.arguments("/bin/sh", "-c", "echo a; echo b >&2; readlink /proc/self/fd/1"),
                           env=sg.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=True, timeout=TIMEOUT)
            out.seek(0)
            text = out.read()
        assert text.startswith(b"a\nb\npipe:") and b"sg-live" not in text
        closed = subprocess.run(session.arguments("/bin/sh", "-c", "readlink /proc/self/fd/0"), env=sg.environment(),
                                stdout=subprocess.PIPE, preexec_fn=lambda: os.close(0), timeout=TIMEOUT)
        assert closed.stdout == b"/dev/null\n"


@pytest.mark.parametrize("flag", ["tty", "none"])
def test_a_terminal_with_job_control(sg, flag):
    """Also in a world that was started without any terminal."""
    profile = BASE.replace('Flags = ["tmp"]', 'Flags = ["tmp", "tty"]') if flag == "tty" else BASE
    with Session(sg, profile=profile) as session, session.terminal("/bin/bash", "--norc", "-i") as terminal:
        terminal.line("PROMPT_COMMAND=; PS1='ready> '; echo term $TERM; tty; stty size")
        terminal.expect(r"^term vt100$")
        terminal.expect(r"^/dev/pts/\d+$")
        terminal.expect(r"^24 80$")
        if flag == "tty":  # which gives job control
            terminal.line("echo through > /dev/tty")
            terminal.expect(r"^through$")
            terminal.line("sh -c 'echo started; exec sleep 60'")
            terminal.expect(r"^started$")
            terminal.send(CTRL_C)
            terminal.line("echo status $?")
            terminal.expect(r"^status 130$")
            terminal.line("sh -c 'echo again; exec sleep 60'")
            terminal.expect(r"^again$")
            terminal.send(CTRL_Z)
            terminal.expect(r"Stopped")
            terminal.line("kill %1; wait; echo gone")
            terminal.expect(r"^gone$")
        terminal.resize(40, 100)
        terminal.line("sleep 0.2; stty size")
        terminal.expect(r"^40 100$")
        terminal.line("exit 3")
        assert terminal.wait() == 3


def test_the_shell_is_the_default(sg):
    with Session(sg, profile=BASE + 'Env = ["SHELL=/usr/bin/dash"]\n') as session:
        done = subprocess.run(sg.command([sg.program, "enter", session.id]), env=sg.environment(), input=b"echo $0 $((1 + 1))\n",
                              capture_output=True, timeout=TIMEOUT)
        assert done.stdout == b"/usr/bin/dash 2\n", done.stderr


def test_all_variables_are_the_sessions(sg):
    """However many there are; at a terminal only its kind is that of whoever enters."""
    many = ", ".join('"V%d=%d"' % (i, i) for i in range(1500))
    with Session(sg, profile=BASE + "Env = [%s]\n" % many) as session:
        seen = set(session.enter("/usr/bin/env", "-0").stdout.split(b"\0"))
        assert {b"V%d=%d" % (i, i) for i in range(1500)} <= seen
        with session.terminal("/bin/sh", "-c", "echo $V0 $V1499 $TERM $(env | grep -c '^V[0-9]*=')") as terminal:
            assert terminal.wait() == 0 and terminal.text.strip() == "0 1499 vt100 1500", terminal.text


def test_signals_reach_the_command(sg):
    with Session(sg) as session:
        entered = session.start("/bin/sh", "-c", "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.05; done")
        assert entered.stdout.readline() == b"up\n"
        pid = entered.pid
        os.kill(pid, signal.SIGTERM)
        out, _ = entered.communicate(timeout=TIMEOUT)
        assert out == b"got\n" and entered.returncode == 9


def names_of(session):
    done = session.shell("cat /proc/[0-9]*/comm; exit 0")
    assert done.returncode == 0, done
    return done.stdout.decode().split()


def until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_front_end_takes_its_command_along(sg):
    with Session(sg) as session:
        entered = session.start("/bin/sh", "-c", "echo up; exec tail -f /dev/null")
        assert entered.stdout.readline() == b"up\n" and "tail" in names_of(session)
        entered.kill()
        entered.communicate()
        until(lambda: "tail" not in names_of(session))


@pytest.mark.parametrize("how", ["stop", "killed", "supervisor", "keeper"])
def test_the_end_of_the_session_takes_it_along(sg, how):
    with Session(sg, "echo up; trap 'exit 3' TERM; while :; do sleep 0.05; done") as session:
        entered = session.start("/bin/sh", "-c", "trap '' TERM HUP INT; echo $$; exec tail -f /dev/null")
        entered.stdout.readline()
        mine = subprocess.run(["pgrep", "-P", str(session.process.pid)], capture_output=True, text=True).stdout.split()
        supervisor = int(mine[0]) if sg.who == "root" or mine else 0
        children = subprocess.run(["pgrep", "-x", "-P", str(supervisor), "sg-keeper"], capture_output=True, text=True).stdout.split()
        entry = subprocess.run(["pgrep", "-P", children[0], "-x", "sg-entry"], capture_output=True, text=True).stdout.split()
        inner = subprocess.run(["pgrep", "-P", entry[0]], capture_output=True, text=True).stdout.split()
        assert len(entry) == 1 and len(inner) == 1
        if how == "stop":
            assert sg.cli("stop", session.id).returncode == 0
        elif how == "killed":
            session.process.kill()
        else:
            os.kill(supervisor if how == "supervisor" else int(children[0]), signal.SIGKILL)
        out, err = entered.communicate(timeout=TIMEOUT)
        assert entered.returncode == (125 if how == "supervisor" else 137), (out, err)
        until(lambda: not any(os.path.exists("/proc/" + p) for p in entry + inner + children))


def test_names(sg):
    with Session(sg, options=("--name", "first-box")) as one, Session(sg, options=("--name", "other-box")) as two:
        assert one.enter("/bin/true", session="first-box").returncode == 0
        assert one.enter("/bin/true", session=one.id[:-2] if not two.id.startswith(one.id[:-2]) else one.id).returncode == 0
        several = one.enter("/bin/true", session="20")
        assert several.returncode == 1 and b"several" in several.stderr
        unknown = one.enter("/bin/true", session="nobody")
        assert unknown.returncode == 1 and one.id.encode() in unknown.stderr
        assert sg.cli("stop", "other-box").returncode == 0
        assert two.process.wait(timeout=TIMEOUT) is not None
        assert sg.cli("enter").returncode == 125
        assert sg.cli("enter", "--wrong").returncode == 125
        assert sg.cli("enter", "--help").returncode == 0


def test_an_ended_session_says_so(sg):
    process = subprocess.run(sg.command([sg.program, "run", "-p", sg.profile(BASE), "--", "/bin/sh", "-c", "echo $SHELLGUARD_SESSION"]),
                             env=sg.environment(), cwd=sg.cwd, capture_output=True, text=True, timeout=TIMEOUT)
    done = sg.cli("enter", process.stdout.strip(), "true")
    assert done.returncode == 1 and "has ended" in done.stderr and "audit show" in done.stderr


def refusing(sg):
    """A profile, and a program that it does not let be executed."""
    return sg.write("denied", "#!/bin/sh\n", mode=0o755), BASE.replace('"/etc/**"]', '"/etc/**", "%s/**"]' % sg.cwd)


def test_it_is_on_the_record_and_refused_as_in_run(sg):
    denied, profile = refusing(sg)
    with Session(sg, profile=profile) as session:
        entered = session.start("/bin/sh", "-c", "'%s'; echo $?" % denied)
        out, _ = entered.communicate(timeout=TIMEOUT)
        assert out == b"126\n"
        session.end()
    records = session.records("enter")
    assert len(records) == 1
    assert records[0]["command"][:2] == ["/bin/sh", "-c"] and records[0]["user"]["uid"] == sg.uid
    assert records[0]["user"]["name"] == pwd.getpwuid(sg.uid).pw_name and records[0]["process"]["uid"] == sg.uid
    if os.getuid() == 0:
        assert records[0]["process"]["pid"] == entered.pid
    execs = [r for r in session.records("exec") if r["process"]["argv"][:2] == ["/bin/sh", "-c"]]
    assert len(execs) == 2 and execs[1]["seq"] > records[0]["seq"]
    assert not execs[1].get("parents") and not execs[0].get("parents")  # nothing of the host's stands above it
    shown = sg.cli("audit", "show", session.log).stdout
    assert re.search(r"enter +/bin/sh -c .*user %s" % records[0]["user"]["name"], shown), shown
    refusals = session.records("refusal")
    assert {r["object"] for r in refusals} == {denied} and refusals[0]["operation"] == "execute"
    assert refusals[0]["seq"] > execs[1]["seq"]
    assert [p["program"] for p in refusals[0].get("parents", [])] in ([], ["/usr/bin/dash"])


def test_the_line_goes_to_who_entered(sg):
    denied, profile = refusing(sg)
    with Session(sg, profile=profile) as session:
        with session.terminal("/bin/sh", "-c", "'%s'; exit 5" % denied) as terminal:
            terminal.expect(r"sh may not execute .*denied")
            assert terminal.wait() == 5
        session.process.terminate()
        assert b"may not" not in session.process.communicate(timeout=TIMEOUT)[1]


def test_its_end_is_recorded(sg):
    """Each `enter` has its `leave`, with the status that it had, in whichever way it ended."""
    with Session(sg) as session:
        assert session.shell("exit 7").returncode == 7
        assert session.shell("kill -TERM $$").returncode == 143
        assert session.enter("/nothing/there").returncode == 127
        assert session.enter("/etc/passwd").returncode == 126
        gone = session.start("/bin/sh", "-c", "echo in; exec sleep 1000")
        assert gone.stdout.readline() == b"in\n"
        gone.kill()
        gone.communicate()
        until(lambda: len(session.records("leave")) == 5)
        last = session.start("/bin/sh", "-c", "echo in; exec sleep 1000")
        assert last.stdout.readline() == b"in\n"
        session.end()
        assert last.wait(TIMEOUT) == 137
        last.communicate()
    begun, ended = session.records("enter"), session.records("leave")
    assert [r["exit_status"] for r in ended] == [7, 143, 127, 126, 137, 137]
    assert [r["entry"] for r in ended] == [r["seq"] for r in begun] and all(r["audience"] == "owner" for r in ended)
    assert [r.get("reason", "") for r in ended][:2] == ["", ""] and "not found" in ended[2]["reason"]
    assert ended[4]["reason"] == "whoever entered has gone"  # the last one is told by whichever of its processes is gone first
    assert session.records("session-end")[0]["seq"] > ended[5]["seq"]
    shown = sg.cli("audit", "show", session.log).stdout
    assert re.search(r"leave +entry %d  status 7$" % begun[0]["seq"], shown, re.M), shown
    assert re.search(r"leave +entry %d  status 137  \(whoever entered has gone\)$" % begun[4]["seq"], shown, re.M), shown


def test_terminals_are_made_once(sg):
    """Several enter a world without terminals at the same moment: it has one place for them, and each its own terminal there."""
    for _ in range(4):
        with Session(sg) as session:
            script = "t=$(tty); echo at $t; test -c $t || echo gone; read line; tty"
            shown = [session.terminal("/bin/sh", "-c", script) for _ in range(4)]
            names = [t.expect(r"at (/dev/pts/\d+)\s").group(1) for t in shown]
            assert sorted(names) == ["/dev/pts/%d" % n for n in range(4)]
            mounts = session.shell("grep -c ' /dev/pts ' /proc/self/mountinfo").stdout
            assert mounts == b"1\n", session.shell("cat /proc/self/mountinfo").stdout
            for terminal, name in zip(shown, names):
                terminal.send("go\n")
                terminal.expect(name)
                assert terminal.wait() == 0 and "gone" not in terminal.text
                terminal.close()


UNFORESEEN = """
import ctypes, resource, sys
libc = ctypes.CDLL(None, use_errno=True)
argv = (ctypes.c_char_p * 3)(b"true", b"x" * 100000, None)
resource.setrlimit(resource.RLIMIT_AS, (1 << 16, 1 << 16))
libc.execve(b"/usr/bin/true", argv, None)
"""


def test_a_killed_program_is_told_to_who_entered(sg):
    """Where names are hidden by looks an execution that fails unforeseen ends its process: both terminals say so, that of `run`
    and that of the entry whose process it was."""
    folder = os.path.join(sg.work, "tree")
    sg.write("a.key", "a\n", folder=folder)
    if os.getuid() == 0:
        os.chown(folder, sg.uid, sg.uid)
    profile = BASE.replace('Exec = ', 'ReadWrite = ["%s/**"]\nHide = ["%s/*.key"]\nExec = ' % (folder, folder))
    command = sg.command([sg.program, "run", "-p", sg.profile(profile), "--name", "told-%d" % os.getpid(), "--", "/bin/sh", "-c", WAIT])
    with Terminal(command, sg.environment({"TERM": "vt100"}), sg.cwd) as first:
        first.expect("up")
        enter = sg.command([sg.program, "enter", "told-%d" % os.getpid(), "--", "/usr/bin/python3", "-c", UNFORESEEN])
        with Terminal(enter, sg.environment({"TERM": "vt100"}), sg.cwd) as second:
            second.expect("a program was killed: an execution in it failed")
            assert second.wait() == 137
        first.expect("a program was killed: an execution in it failed")
        first.send(CTRL_C)
        assert first.wait() == 130


def test_what_is_left_behind_stays_in_the_world(sg):
    with Session(sg) as session:
        assert session.shell("setsid tail -f /dev/null >/dev/null 2>&1 </dev/null & exit 0").returncode == 0
        assert "tail" in names_of(session)
        assert session.shell("kill $(pgrep tail); exit 0").returncode == 0
        until(lambda: "tail" not in names_of(session))


def test_places_are_given_back_and_bounded(sg):
    """Each filter that still has a process keeps a listener: 16 at a time, and no descriptor is left of those that are gone."""
    with Session(sg) as session:
        for i in range(40):
            assert session.enter("/bin/true").returncode == 0, i
        keeper = subprocess.run("pgrep -x sg-keeper -P $(pgrep -P %d)" % session.process.pid, shell=True, capture_output=True,
                                text=True).stdout.split()
        count = len(os.listdir("/proc/%s/fd" % keeper[0])) if os.getuid() == 0 else 0
        assert count < 20
        left = 0
        while session.shell("setsid tail -f /dev/null >/dev/null 2>&1 </dev/null & exit 0").returncode == 0:
            left += 1
            assert left <= 16
        assert left == 16
        full = session.enter("/bin/true")
        assert full.returncode == 125 and b"too often" in full.stderr
        session.sg.cli("stop", session.id)


def test_a_full_world_takes_nobody(sg):
    with Session(sg, "echo up; sleep 1000 & sleep 1000 & wait", profile=BASE + "Limits = { Processes = 4 }\n") as session:
        done = session.enter("/bin/true")
        if done.returncode != 0:
            assert done.returncode == 125 and b"no more processes" in done.stderr
        else:
            assert session.shell("sleep 0 & sleep 0 & sleep 0 & sleep 0 & wait").stderr != b""


def test_nobody_else_enters(sg):
    if os.getuid() != 0:
        pytest.skip("needs a second user")
    with Session(sg) as session:
        other = ["setpriv", "--reuid=" + ("nobody" if sg.who == "user" else USER), "--regid=nogroup", "--clear-groups", "--"]
        folder = "/run/shellguard/sessions" if sg.who == "root" else os.path.join(sg.home, "state", "shellguard", "run")
        door = os.path.join(folder, session.id)
        for environment in (sg.environment(), sg.environment({"XDG_RUNTIME_DIR": os.path.dirname(folder)})):
            done = subprocess.run(other + [sg.program, "enter", session.id, "true"], env=environment, capture_output=True,
                                  timeout=TIMEOUT)
            assert done.returncode not in (0,) and b"up" not in done.stdout
        knock = "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1])"
        done = subprocess.run(other + ["/usr/bin/python3", "-c", knock, door], capture_output=True, timeout=TIMEOUT)
        assert b"PermissionError" in done.stderr
        # Should the folder ever be open, the kernel's word on who connects stands behind it.
        os.chmod(folder, 0o711)
        os.chmod(door, 0o666)
        parents = [os.path.dirname(folder), os.path.join(sg.home, "state"), sg.home] if sg.who == "user" else ["/run/shellguard"]
        modes = [os.stat(p).st_mode & 0o7777 for p in parents]
        try:
            for p in parents:
                os.chmod(p, 0o755)
            ask = knock + "; s.send(b'\\1' + bytes(2055)); print(s.recv(4096))"
            done = subprocess.run(other + ["/usr/bin/python3", "-c", ask, door], capture_output=True, timeout=TIMEOUT)
            assert done.stdout in (b"b''\n", b"") and session.id.encode() not in done.stdout, done
        finally:
            os.chmod(folder, 0o700)
            for p, mode in zip(parents, modes):
                os.chmod(p, mode)


def landlock_version():
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)  # landlock_create_ruleset(2), LANDLOCK_CREATE_RULESET_VERSION


@pytest.mark.parametrize("bound", ["", "landlock"])
def test_signals_between_who_entered_and_who_was_there(sg, bound):
    """
    One domain of Landlock for all, by inheritance: they signal each other. With Landlock's part for files each has its own, of
    the same rules, since no domain can be entered later: neither reaches the other (kernels that scope signals: ABI 6).
    """
    profile = BASE.replace("[Runtime]", 'Bounds = ["%s"]\n[Runtime]' % bound) if bound else BASE
    apart = bound and landlock_version() >= 6
    first = "trap 'echo told' USR1; trap 'exit 7' TERM; echo up; while :; do read line < /tmp/ask && kill -s USR1 $line; echo $?; done"
    first = "mkfifo /tmp/ask; " + first
    profile = profile.replace('Flags = ["tmp"]', 'Flags = ["tmp", "mknod"]')
    with Session(sg, first, profile=profile) as session:
        own = session.shell("sleep 60 & kill -s TERM $! && wait $!; echo $?").stdout
        assert own == b"143\n"  # its own child, in either case
        # To the first: it is process 2, the second of its PID namespace.
        done = session.shell("kill -s USR1 2; echo $?")
        assert done.stdout == (b"1\n" if apart else b"0\n"), (done.stdout, done.stderr)
        if apart:
            assert b"not permitted" in done.stderr
        # From the first: whoever entered asks for it, by its number.
        entered = session.shell("trap 'echo asked; exit 0' USR1; echo $$ > /tmp/ask; i=0; while [ $i -lt %d ]; do sleep 0.05; i=$((i+1)); done; "
                                "echo silence" % (10 if apart else 400))
        assert entered.stdout == (b"silence\n" if apart else b"asked\n"), (entered.stdout, entered.stderr)
        # The owner's own signals, and the end, reach both.
        assert session.sg.cli("stop", session.id).returncode == 0
        session.process.communicate(timeout=TIMEOUT)
        assert session.process.returncode == 7
