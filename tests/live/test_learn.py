"""learn: what a run used becomes a profile that the command works under, and nothing else does."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
import time

import pytest

import conftest

PYTHON = "/usr/bin/python3"


def folder(sg, *names):
    """A folder beside the working directory with files in it."""
    path = os.path.join(sg.work, "srv")
    for name in names:
        sg.write(name, "contents of %s\n" % name, folder=path)
    if os.getuid() == 0:
        os.chown(path, sg.uid, sg.uid)
    return path


def learn(sg, *arguments, status=0):
    done = sg.cli("learn", *arguments)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


def learned(sg, *command, options=()):
    """The profile that is proposed for the command, as a file."""
    sg.count += 1
    path = os.path.join(sg.cwd, "..", "work", "learned%d.toml" % sg.count)
    learn(sg, *options, "-o", path, "--", *command)
    for check in (["check"], ["fmt", "--check"]):
        checked = sg.cli(*check, path)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    with open(path, encoding="utf-8") as f:
        return path, f.read()


def values(text, key):
    """The elements of a key's list that give something."""
    found = re.search(r"^%s\s*= \[(.*?)\]$" % key, text, re.M | re.S)
    lines = [] if found is None else [line for line in found.group(1).split("\n") if not line.strip().startswith("#")]
    return re.findall(r'"((?:[^"\\]|\\.)*)"', "\n".join(re.sub(r'",\s*#.*$', '",', line) for line in lines))


def test_a_program_works_under_what_was_learned(sg):
    """Files read and written, a file made and renamed, a child, a temporary file; the neighbour of each stays refused."""
    srv = folder(sg, "a.txt", "b.txt", "log")
    sg.write("tool.py", textwrap.dedent("""
        import os, subprocess, sys, tempfile
        print(open("%(srv)s/a.txt").read(), end="")
        open("%(srv)s/log", "a").write("line\\n")
        with open("out.tmp", "w") as f:
            f.write("result")
        os.rename("out.tmp", "out")
        tempfile.NamedTemporaryFile().write(b"x")
        sys.exit(subprocess.call(["/bin/true"]))
    """ % {"srv": srv}))
    path, text = learned(sg, PYTHON, "tool.py")
    assert srv + "/a.txt" in values(text, "ReadOnly"), text
    assert srv + "/log" in values(text, "ReadWrite"), text
    assert "${CWD}/out*" in values(text, "ReadWrite"), text
    assert "b.txt" not in text
    os.unlink(os.path.join(sg.cwd, "out"))
    done = sg.run(path, PYTHON, "tool.py")
    assert done.status == 0, (text, done.stderr, done.refusals())
    assert done.stdout == "contents of a.txt\n"
    assert open(os.path.join(sg.cwd, "out"), encoding="utf-8").read() == "result"
    for probe in ('open("%s/b.txt")' % srv, 'open("%s/a.txt", "a")' % srv, 'open("other", "w")',
                  '__import__("os").rename("%s/log", "%s/log2")' % (srv, srv), 'open("/etc/hostname")',
                  '__import__("subprocess").check_call(["/usr/bin/id"])'):
        assert sg.run(path, PYTHON, "-c", probe).status == 1, probe


def test_the_same_run_gives_the_same_bytes(sg):
    sg.write("tool.py", "import os\nfor n in ('b', 'a'): open(n, 'w').close(); os.unlink(n)\nos.system('ls > /dev/null')\n")
    texts = [learn(sg, "--", PYTHON, "tool.py").stdout for _ in range(2)]
    assert texts[0] == texts[1] and "[Filesystem]" in texts[0]


def test_what_profiles_deny_is_refused_and_kept(sg):
    srv = folder(sg, "a.txt", "key")
    path, text = learned(sg, "/bin/sh", "-c", "cat %s/a.txt %s/key; true" % (srv, srv),
                         options=["-p", sg.profile("[Filesystem]\nDeny = [\"%s/key\"]\n" % srv)])
    assert srv + "/key" not in values(text, "ReadOnly")
    assert re.search(r'^ +# "%s/key", +# refused in the run' % srv, text, re.M), text
    assert values(text, "Deny") == [srv + "/key"]
    assert sg.run(path, "/bin/sh", "-c", "cat %s/a.txt" % srv).status == 0
    assert sg.run(path, "/bin/sh", "-c", "cat %s/key" % srv).status == 1


def test_secrets_stay_refused_unless_asked_for(sg):
    script = "import os\ntry: open('/etc/shadow')\nexcept OSError as e: print(e.errno)\n"
    refused = learn(sg, "--", PYTHON, "-c", script).stdout
    assert re.search(r'^ +# "/etc/shadow", +# refused in the run: a secret', refused, re.M), refused
    assert "Secrets of the built-in list" in refused
    asked = learn(sg, "--secrets", "--", PYTHON, "-c", script).stdout
    assert '"/etc/shadow"' not in asked and "Secrets of the built-in list" not in asked


def test_scripts_and_their_interpreters(sg):
    """A script of a script: each interpreter is proposed by the name that the script has for it, which may be a link."""
    sg.write("inner", "#!/usr/bin/env python3\nprint('inner')\n", mode=0o755)
    sg.write("outer", "#! /bin/sh -e\nexec ./inner\n", mode=0o755)
    path, text = learned(sg, "./outer", options=["--replay"])
    assert {"${CWD}/outer", "${CWD}/inner", "/bin/sh", "/usr/bin/env"} <= set(values(text, "Exec")), text
    assert sg.run(path, "./outer").stdout == "inner\n"
    sg.write("other", "#!/bin/sh\necho other\n", mode=0o755)
    assert sg.run(path, "./other").status in (126, 127)


def test_what_a_profile_denies_to_execute_is_not_proposed(sg):
    sg.write("tool", "#!/bin/sh\necho ran\n", mode=0o755)
    text = learn(sg, "-p", sg.profile('[Filesystem]\nDenyExec = ["${CWD}/tool"]\n'), "--", "/bin/sh", "-c", "./tool; true").stdout
    assert "${CWD}/tool" not in values(text, "Exec") and values(text, "DenyExec") == ["${CWD}/tool"], text
    assert re.search(r'^ +# "\$\{CWD\}/tool", +# refused in the run', text, re.M), text


def test_a_library_of_ones_own(sg):
    """It is read by name and mapped as code, which only a rule for it allows."""
    if shutil.which("cc") is None:
        conftest.cannot("cc is not installed")
    source = sg.write("x.c", "int seven(void) { return 7; }\n")
    subprocess.run(["cc", "-shared", "-o", os.path.join(sg.cwd, "x.so"), source], check=True)
    command = [PYTHON, "-c", "import ctypes; print(ctypes.CDLL('./x.so').seven())"]
    path, text = learned(sg, *command, options=["--replay"])
    assert values(text, "Map") == ["${CWD}/x.so"], text
    assert sg.run(path, *command).stdout == "7\n"
    assert sg.run(path, PYTHON, "-c", "open('x.so', 'r+b')").status == 1


def test_at_a_terminal(sg):
    """A shell that a person uses: keys, a signal from the keyboard, its end; then the proposal."""
    with conftest.terminal.Terminal(sg.command([sg.program, "learn", "-o", "shell.toml", "--", "/bin/sh"]),
                                    sg.environment({"TERM": "vt100", "PS1": "ready> "}), sg.cwd) as t:
        t.expect(r"[$#>] $")
        t.line("stty -a | grep -c rows; tty")
        t.expect(r"/dev/pts/")
        t.line("sleep 100")
        t.expect(r"sleep 100\r?\n")
        t.send("\x03")
        t.line("echo done $((40 + 2))")
        t.expect(r"done 42")
        t.line("exit 3")
        assert t.wait(30) == 0
    with open(os.path.join(sg.cwd, "shell.toml"), encoding="utf-8") as f:
        text = f.read()
    assert {"/usr/bin/stty", "/usr/bin/sleep", "/usr/bin/tty"} <= set(values(text, "Exec")), text
    assert re.search(r'^Flags *= \[.*"tty"', text, re.M), text


def test_who_enters_is_watched_too(sg):
    """Another command in the same world: what it uses is in the proposal."""
    srv = folder(sg, "a.txt")
    sg.write("wait.py", "import os, time\nopen('ready', 'w').close()\nend = time.time() + 50\n"
             "while not os.path.exists('end') and time.time() < end: time.sleep(0.02)\n")
    process = subprocess.Popen(sg.command([sg.program, "learn", "--", PYTHON, "wait.py"]), cwd=sg.cwd, env=sg.environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while not os.path.exists(os.path.join(sg.cwd, "ready")):
        assert time.monotonic() < end
        time.sleep(0.02)
    session, ready = [], time.monotonic()
    while not session:
        assert time.monotonic() < end
        session = [line["session"] for line in map(json.loads, sg.cli("ps", "--json").stdout.splitlines()) if "wait.py" in line["command"]]
    listed = time.monotonic()
    done = sg.cli("enter", session[0], "--", "/bin/cat", srv + "/a.txt")
    entered = time.monotonic()
    assert done.stdout == "contents of a.txt\n", done.stderr
    sg.write("end", "")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    took = {"ready": ready - end + 30, "listed": listed - ready, "entered": entered - listed, "ended": time.monotonic() - entered}
    assert max(took.values()) < 12, took
    assert srv + "/a.txt" in values(out, "ReadOnly") and "/usr/bin/cat" in " ".join(values(out, "Exec")), out


@pytest.fixture
def elsewhere(sg):
    """A folder that is neither the working directory nor one for temporary files."""
    path = tempfile.mkdtemp(prefix="sg-learn-", dir="/srv" if os.getuid() == 0 else os.path.expanduser("~"))
    if os.getuid() == 0:
        os.chown(path, sg.uid, sg.uid)
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def test_only_some_folders_may_be_written(sg, elsewhere):
    """The host is not changed by a run that is there to be watched, unless it is told which folder may be."""
    command = ["/bin/sh", "-c", "echo x > %s/new; echo y > here" % elsewhere]
    text = learn(sg, "--", *command).stdout
    assert not os.path.exists(elsewhere + "/new") and os.path.exists(os.path.join(sg.cwd, "here"))
    assert re.search(r'^ +# "%s/new", +# refused in the run, where only some' % elsewhere, text, re.M), text
    text = learn(sg, "--rw", elsewhere + "/**", "--", *command).stdout
    assert os.path.exists(elsewhere + "/new") and elsewhere + "/new*" in values(text, "ReadWrite")


def test_a_replay_gives_no_more_than_the_run_had(sg, elsewhere):
    """The command knows a replay by what the run before left, and asks only then: nobody has looked at the proposal yet."""
    for name in "abcde":
        sg.write(name, "host", folder=elsewhere)
    sg.write("tool.py", textwrap.dedent("""
        import os
        def attempt(how, name):
            try:
                with open(name, how) as f:
                    f.write("CHANGED") if how == "w" else f.read()
                return "done"
            except OSError:
                return "refused"
        again = os.path.exists("been")
        for name in "abcd":
            open("%(folder)s/" + name).read()
        open("been", "w").close()
        if again:
            found = attempt("w", "%(folder)s/e"), attempt("w", "%(folder)s/new"), attempt("r", "/etc/security/opasswd")
            with open("found", "a") as f:
                print(*found, file=f)
    """ % {"folder": elsewhere}))
    text = learn(sg, "--replay", "--", PYTHON, "tool.py").stdout
    with open(os.path.join(sg.cwd, "found"), encoding="utf-8") as f:
        assert set(f.read().split()) == {"refused"}
    assert open(os.path.join(elsewhere, "e"), encoding="utf-8").read() == "host" and "new" not in os.listdir(elsewhere)
    assert not [value for value in values(text, "ReadWrite") if elsewhere in value], text
    assert elsewhere + "/*" in values(text, "ReadOnly"), text


def test_a_wildcard_gives_no_secret_beside_what_was_read(sg):
    folder = "/etc/security"
    names = sorted(n for n in os.listdir(folder) if n.endswith(".conf"))[:5]
    path, text = learned(sg, "/bin/sh", "-c", "cd %s; cat %s > /dev/null" % (folder, " ".join(names)))
    assert folder + "/*" in values(text, "ReadOnly") and folder + "/opasswd" in values(text, "Deny"), text
    assert sg.cli("can", path, "read", folder + "/" + names[0]).returncode == 0
    assert sg.cli("can", path, "read", folder + "/opasswd").returncode == 1
    assert "shadow" not in text


def test_a_name_that_is_random_all_through_is_no_star_for_every_name(sg):
    path, text = learned(sg, "/bin/sh", "-c", "mkdir 98765432; echo x > 98765432/file; echo x > 4711081512")
    assert sorted(values(text, "ReadWrite")) == ["${CWD}/" + "?" * 8 + "/{,**}", "${CWD}/" + "?" * 10], text
    assert sg.cli("can", path, "write", os.path.join(sg.cwd, "12345678", "file")).returncode == 0
    for name in ("other/file", "Makefile", ".git/hooks/post-commit"):
        assert sg.cli("can", path, "write", os.path.join(sg.cwd, name)).returncode == 1, name


def test_what_may_be_written_is_noted_and_no_more(sg, elsewhere):
    """The list of folders whose links are not followed (world/written.h) gets those that the run could write, not the trees around
    them: a link beside them is followed as before."""
    os.mkdir(elsewhere + "/in")
    os.mkdir(elsewhere + "/out")
    for name in ("in", "out"):
        sg.write("file", "text", folder=os.path.join(elsewhere, name))
        os.symlink("file", os.path.join(elsewhere, name, "link"))
    if os.getuid() == 0:
        os.chown(elsewhere + "/in", sg.uid, sg.uid)
    learn(sg, "--rw", elsewhere + "/in/**", "--", "/bin/true")
    base = conftest.BASE.replace('ReadOnly = [', 'ReadOnly = ["%s/in/link", "%s/out/link", ' % (elsewhere, elsewhere), 1)
    assert sg.run(base, "/bin/cat", elsewhere + "/out/link").stdout == "text"
    refused = sg.run(base, "/bin/cat", elsewhere + "/in/link")
    assert refused.status == 1 and "gives nothing" in refused.stderr


CALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*[ctypes.c_long(a) for a in arguments]) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
"""

# For each flag one thing that takes it, and nothing else that the proposal for a program that does nothing lacks.
PROBES = {
    "fork": "os.fork() or os._exit(0)",
    "exec": "os.execv('/usr/bin/python3', ['python3', '-c', ''])",
    "threads": "import _thread; _thread.start_new_thread(print, ())",
    "signals": "os.kill(os.getpid(), 0)",
    "timers": "import signal; signal.setitimer(signal.ITIMER_REAL, 100)",
    "ipc": "call(68, 0, 0o1600)",
    "shared-memory": "call(29, 0, 4096, 0o1600)",
    "jit": "import mmap; mmap.mmap(-1, 4096, prot=7)",
    "scheduling": "os.sched_setaffinity(0, os.sched_getaffinity(0))",
    "watch": "call(294, 0)",
    "aio": "b = ctypes.create_string_buffer(8); call(206, 1, ctypes.addressof(b))",
    "attributes": "os.chmod('tool', 0o600)",
    "links": "os.symlink('a', 'link')",
    "locks": "import fcntl; fcntl.flock(0, fcntl.LOCK_UN)",
    "mknod": "os.mkfifo('fifo')",
    "tmp": "open('/tmp/sg-learn-probe', 'w').close(); os.unlink('/tmp/sg-learn-probe')",
    "loopback": "import _socket; _socket.socket(2, 1).listen()",
    "netlink": "import _socket; _socket.socket(16, 3, 0)",
    "unix": "import _socket; _socket.socket(1, 2)",
    "identity": "open('/etc/passwd')",
    "create": "os.setgid(os.getgid())",
    "sysinfo": "open('/proc/meminfo')",
    "keyring": "t, d = ctypes.create_string_buffer(b'user'), ctypes.create_string_buffer(b'sg'); "
               "call(248, ctypes.addressof(t), ctypes.addressof(d), ctypes.addressof(d), 1, -2)",
}


def test_each_flag_that_was_not_granted_is_refused(sg):
    """One probe for each flag: it works outside, is refused under the proposal for a program that does nothing, and works again
    under the proposal that is learned from it, which has the flag."""
    sg.write("tool", "x")
    path, text = learned(sg, PYTHON, "-c", "pass")
    assert values(text, "Flags") == ["start"], text
    for flag, probe in PROBES.items():
        command = [PYTHON, "-c", CALL + probe]
        for name in ("link", "fifo"):
            if os.path.lexists(os.path.join(sg.cwd, name)):
                os.unlink(os.path.join(sg.cwd, name))
        refused = sg.run(path, *command)
        assert refused.status == 1, (flag, refused.stdout, refused.stderr)
        with_flag, wider = learned(sg, *command)
        assert re.search(r'^Flags *= \[.*"%s"' % flag, wider, re.M), (flag, wider)
        for name in ("link", "fifo"):
            if os.path.lexists(os.path.join(sg.cwd, name)):
                os.unlink(os.path.join(sg.cwd, name))
        allowed = sg.run(with_flag, *command)
        assert allowed.status == 0, (flag, wider, allowed.stderr, allowed.refusals())


def test_a_flag_that_the_watched_run_lacks(sg):
    """Tracing is no part of a watched run (what is traced may execute nothing): it is told, and can be given."""
    command = [PYTHON, "-c", CALL + "call(101, 0, 0, 0, 0)"]
    text = learn(sg, "--", *command).stdout
    assert '#   ptrace: the flag "debug" gives it' in text, text
    path, text = learned(sg, *command, options=["--flag", "debug"])
    assert '"debug"' in text and sg.run(path, *command).status == 0


def test_what_no_profile_gives_stays_refused(sg):
    """Calls that are refused in every world are refused while watched, with the same error, and are in no proposal."""
    probes = ("call(272, 0x10000000)", "call(165, 0, 0, 0, 0, 0)", "call(425, 1, 0)", "call(310, 1, 0, 0, 0, 0, 0)",
              "call(317, 1, 8, 0)", "import _socket; _socket.socket(17, 3, 0)", "import fcntl; fcntl.ioctl(0, 0x5412, b'x')")
    script = CALL + "\n".join("try:\n    %s\n    print('done')\nexcept OSError as e: print(e.errno)" % p for p in probes)
    path, text = learned(sg, PYTHON, "-c", script)
    watched = learn(sg, "--", PYTHON, "-c", script).stdout.split("\nName ")[0].split("Name ")[0]
    under = sg.run(path, PYTHON, "-c", script)
    assert "done" not in watched and "done" not in under.stdout
    assert watched.split() == under.stdout.split(), text


FLIP = CALL + """
import threading
text = ctypes.create_string_buffer(b"%(open)s", 256)
hidden, shown = b"%(hidden)s", b"%(open)s"
end = False
def flip():
    while not end:
        ctypes.memmove(text, hidden, len(hidden) + 1)
        ctypes.memmove(text, shown, len(shown) + 1)
thread = threading.Thread(target=flip)
thread.start()
size = os.stat("%(open)s").st_size
found = set()
for i in range(3000):
    status = ctypes.create_string_buffer(256)
    if libc.syscall(4, text, status) == 0:
        found.add(int.from_bytes(status[48:56], "little"))
    fd = libc.open(text, 0)
    if fd >= 0:
        found.add(os.fstat(fd).st_size)
        os.close(fd)
end = True
thread.join()
print(found == {size})
"""


def test_memory_that_changes_reaches_nothing(sg):
    """Looks go on in the kernel, which reads the name again: what is hidden or denied must not be had by a name that changes."""
    srv = folder(sg, "open")
    sg.write("hidden", "a longer text that nobody sees\n" * 3, folder=srv)
    names = {"open": srv + "/open", "hidden": srv + "/hidden"}
    done = learn(sg, "-p", sg.profile("[Filesystem]\nHide = [\"%(hidden)s\"]\n" % names), "--", PYTHON, "-c", FLIP % names)
    assert done.stdout.startswith("True\n"), done.stdout


def test_replay_adds_what_differs(sg):
    """A name that is another one each time, and that no rule for random parts knows: the replay is refused it, and it is added."""
    sg.write("tool.py", "import time\nopen('/var/tmp/../../%s/f%%s' %% 'abcdefghij'[time.monotonic_ns() // 1000 %% 10], 'w')\n" % sg.cwd)
    sg.write("count", "0\n")
    sg.write("odd.py", textwrap.dedent("""
        n = int(open("count").read()) + 1
        open("count", "w").write(str(n))
        open("made-" + "first second third fourth fifth".split()[n - 1], "w").close()
    """))
    sg.count += 1
    path = os.path.join(sg.cwd, "replayed.toml")
    done = learn(sg, "--replay", "-o", path, "--", PYTHON, "odd.py")
    assert "replay 1" in done.stderr, done.stderr
    with open(path, encoding="utf-8") as f:
        assert "${CWD}/*" in values(f.read(), "ReadWrite")
    assert sg.run(path, PYTHON, "odd.py").status == 0


def test_replay_says_when_it_does_not_work(sg):
    done = learn(sg, "--replay", "--", "/bin/sh", "-c", "mkdir once", status=1)
    assert "under the proposal the command ends with 1, and ended with 0" in done.stderr, done.stderr
    assert "[Filesystem]" in done.stdout


def test_wrong_usage(sg):
    assert learn(sg, status=2).stdout == ""
    assert "no option" in learn(sg, "--nothing", "--", "true", status=2).stderr
    sg.write("there.toml", "")
    assert "exists already" in learn(sg, "-o", "there.toml", "--", "true", status=125).stderr
    missing = learn(sg, "-o", "new.toml", "--", "no-such-program", status=125)
    assert "no-such-program" in missing.stderr and not os.path.exists(os.path.join(sg.cwd, "new.toml"))
    broken = learn(sg, "-p", sg.profile("[Filesystem]\nNonsense = 1\n"), "--", "true", status=125)
    assert "Nonsense" in broken.stderr


def test_a_person_is_told_where_the_proposal_is(sg):
    """And how to use it: a name without a slash or .toml would be that of an installed profile."""
    env = sg.environment({"TERM": "vt100"})
    for name, shown in (("mine.toml", "mine.toml"), ("mine", "./mine"), ("it is.toml", "'it is.toml'")):
        with conftest.terminal.Terminal(sg.command([sg.program, "learn", "-o", name, "--", "/bin/true"]), env, sg.cwd, columns=200) as seen:
            assert seen.wait() == 0, seen.text
            assert 'the proposal is in %s: read it, then "shellguard run -p %s" and' % (name, shown) in seen.text, seen.text
        assert sg.cli("run", "-p", shown.strip("'"), "--", "/bin/true").returncode == 0
    assert learn(sg, "-o", "quiet.toml", "--", "/bin/true").stderr == ""


def test_a_link_in_the_place_of_the_output(sg):
    """The command may write the working directory: what it puts under the proposal's name is not written through."""
    victim = sg.write("victim", "mine\n", folder=os.path.join(sg.work, "srv"))
    done = learn(sg, "-o", "out.toml", "--", "/bin/ln", "-s", victim, "out.toml", status=125)
    assert "cannot write out.toml" in done.stderr, done.stderr
    with open(victim, encoding="utf-8") as f:
        assert f.read() == "mine\n"
