"""What one session may not do to the next, and what mounting may not undo."""
import os
import socket
import subprocess

import pytest

import conftest

BASE = """
[Filesystem]
Flags = ["tmp", "write", "links"]
ReadOnly = ["/usr/**", "/etc/**"]
Exec = ["/usr/**"%s]
ReadWrite = [%s]
[Runtime]
Flags = ["start", "malloc", "threads", "fork", "exec", "signals", "timers"]
"""


def profile(write, execute=()):
    return BASE % ("".join(', "%s"' % name for name in execute), ", ".join('"%s"' % name for name in write))


@pytest.fixture
def secret(sg):
    """A file that no rule names."""
    return sg.write("secret/key", "the-secret\n", folder=sg.home)


def test_no_link_is_left_for_the_next_session_under_a_literal_name(sg, secret):
    """A rule follows the user's own dot files where they are links; so a world may not put a link under such a name."""
    named = os.path.join(sg.home, "tool.conf")
    text = profile([named])
    planted = sg.shell(text, "ln -s %s %s" % (secret, named))
    assert planted.status == 1 and "Permission denied" in planted.stderr
    assert planted.refusals(named)[0]["reason"].startswith("a rule names this file")
    assert not os.path.lexists(named)
    assert sg.shell(text, "echo settings > %s" % named).status == 0
    assert open(named, encoding="ascii").read() == "settings\n"


def test_no_link_is_moved_or_linked_to_a_literal_name(sg, secret):
    named = os.path.join(sg.home, "tool.conf")
    text = profile([named, sg.home + "/work/**"])
    os.mkdir(sg.home + "/work")
    os.chown(sg.home + "/work", sg.uid, sg.uid)
    moved = sg.shell(text, "cd %s/work && ln -s %s l && { mv l %s; ln -P l %s; mv -T --exchange l %s; }; ls -l %s"
                     % (sg.home, secret, named, named, named, named))
    assert not os.path.lexists(named), moved.stdout
    assert os.path.islink(sg.home + "/work/l")
    assert len(moved.refusals(named)) >= 2


def test_a_rule_follows_no_link_where_its_world_may_write(sg, secret):
    """The first session makes a link of a name that another rule speaks of; the second must not be given what it leads to."""
    folder = os.path.join(sg.home, "work")
    os.mkdir(folder)
    os.chown(folder, sg.uid, sg.uid)
    for text in (profile([folder + "/**"], [folder + "/bin/**"]), profile([folder + "/**", folder + "/bin"])):
        first = sg.shell(text, "ln -sfn %s %s/bin" % (os.path.dirname(secret), folder))
        if first.status == 0:
            assert os.path.islink(folder + "/bin")
        second = sg.shell(text, "cat %s; cat %s/bin/key; echo x >> %s" % (secret, folder, secret))
        assert "the-secret" not in second.stdout
    assert open(secret, encoding="ascii").read() == "the-secret\n"


def test_a_dot_file_that_is_the_user_s_own_link_still_works(sg):
    target = sg.write("dotfiles/tool.conf", "old\n", folder=sg.home)
    named = os.path.join(sg.home, "tool.conf")
    os.symlink(target, named)
    if os.getuid() == 0:
        os.lchown(named, sg.uid, sg.uid)
    done = sg.shell(profile([named]), "cat %s && echo new > %s" % (named, named))
    assert (done.status, done.stdout) == (0, "old\n"), done.stderr
    assert open(target, encoding="ascii").read() == "new\n"


def test_a_stranger_s_link_gives_nothing(sg, secret):
    """Somebody else's link in a shared folder leads a rule to what is not theirs."""
    if os.getuid() != 0:
        pytest.skip("this needs root, to make another user's link")
    shared = os.path.join(sg.work, "shared")
    os.mkdir(shared)
    os.symlink(os.path.dirname(secret), shared + "/data")
    os.lchown(shared + "/data", 12345, 12345)
    done = sg.shell(profile([shared + "/data/**"]), "cat %s %s/data/key" % (secret, shared))
    assert "the-secret" not in done.stdout and done.status != 0


def reading(*names):
    """A profile that writes nothing and reads these."""
    return (BASE % ("", "")).replace('"/etc/**"', ", ".join(['"/etc/**"'] + ['"%s"' % name for name in names])).replace("ReadWrite = []\n", "")


@pytest.mark.parametrize("moment", ["ended", "running"])
@pytest.mark.parametrize("place", ["folder", "file", "below"])
def test_a_link_that_another_session_planted_is_not_followed(sg, secret, place, moment):
    """One profile lets a folder be written, another names something in it: by a link the first one's world would choose what that is."""
    folder, private = os.path.join(sg.home, "work"), os.path.dirname(secret)
    os.mkdir(folder)
    os.chown(folder, sg.uid, sg.uid)
    link, target, named = {"folder": ("data", private, "data/**"), "file": ("data", secret, "data"),
                           "below": ("x", private, "x/key")}[place]
    victim = reading("%s/%s" % (folder, named))
    script = "cat %s/%s %s" % (folder, named.replace("**", "key"), secret)
    first = sg.start(profile([folder + "/**"]), "/bin/sh", "-c", "ln -s %s %s/%s && echo planted; %s"
                     % (target, folder, link, "read x" if moment == "running" else "true"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)[0]
    try:
        assert first.stdout.readline() == b"planted\n"
        if moment == "ended":
            assert first.wait(60) == 0
        done = sg.shell(victim, script)
    finally:
        first.kill()
        first.communicate()
    assert "the-secret" not in done.stdout and done.status != 0
    assert "gives nothing: %s/%s is a symbolic link" % (folder, link) in done.stderr and target in done.stderr, done.stderr
    assert done.of("session-start")[0]["links"]["refused"][0].startswith(folder)
    assert "gives nothing" in " ".join(sg.cli("explain", sg.profile(victim)).stdout.split())
    # What is named itself is given: the neighbour works.
    named = sg.shell(reading(private + "/**"), script)
    assert "the-secret" in named.stdout and "links" not in named.of("session-start")[0]


def test_where_links_led_is_recorded(sg, secret):
    """The user's own link, in a folder that no session was given, is followed, and the record says what the rule gave."""
    folder = os.path.join(sg.home, "own")
    os.mkdir(folder)
    os.symlink(os.path.dirname(secret), folder + "/data")
    os.lchown(folder + "/data", sg.uid, sg.uid)
    done = sg.shell(reading(folder + "/data/**"), "cat %s/data/key" % folder)
    assert done.stdout == "the-secret\n" and "gives nothing" not in done.stderr
    assert done.of("session-start")[0]["links"] == {"followed": ["%s/data -> %s" % (folder, os.path.dirname(secret))]}


def test_the_list_of_written_folders_is_out_of_reach(sg):
    """A world that may write all of the home, or all of /var, does not reach the list of what worlds may write."""
    listed = "/var/lib/shellguard" if sg.uid == 0 else os.path.join(sg.home, "state", "shellguard")
    above = os.path.dirname(listed)
    if sg.uid:
        os.mkdir(above)
        os.chown(above, sg.uid, sg.uid)
    text = profile([above + "/**"] if sg.uid else [sg.cwd + "/**"])
    if sg.uid == 0:
        text = text.replace('"/etc/**"]', '"/etc/**", "/var/lib/**"]')
    for _ in range(2):  # the first start makes the list
        done = sg.shell(text, "cat {0}/written; echo x >> {0}/written; rm -f {0}/written; mv {0} {0}2; ls {0}".format(listed))
        assert done.stdout == "" and done.records, (done.stdout, done.stderr)
    with open(listed + "/written", encoding="utf-8") as f:
        assert (above if sg.uid else sg.cwd) in f.read().split("\n")


def test_a_list_that_cannot_be_trusted(sg, secret):
    """One that cannot be written starts no session, one that cannot be read lets no link be followed."""
    if sg.uid == 0:
        return  # root's is the machine's: tests/unit/test_written.c
    folder = os.path.join(sg.home, "own")
    os.mkdir(folder)
    os.symlink(os.path.dirname(secret), folder + "/data")
    state = os.path.join(sg.home, "state", "shellguard")
    os.makedirs(state)
    for path in (os.path.dirname(state), state):
        os.chown(path, sg.uid, sg.uid)
    os.mkdir(state + "/written")
    done = sg.run(profile([sg.cwd + "/**"]), "/bin/true")
    assert done.status == 125 and "which folders this session may write" in done.stderr and not done.records
    done = sg.shell(reading(folder + "/data/**"), "cat %s/data/key" % folder)
    assert "the-secret" not in done.stdout and "gives nothing" in done.stderr
    os.rmdir(state + "/written")
    assert sg.run(profile([sg.cwd + "/**"]), "/bin/true").status == 0
    assert sg.shell(reading(folder + "/data/**"), "cat %s/data/key" % folder).stdout == "the-secret\n"


@pytest.mark.parametrize("name", [".config/shellguard/profiles/developer.toml", ".local/state/shellguard/sessions/old.jsonl"])
def test_profiles_and_records_are_not_the_world_s_to_write(sg, name):
    """Where a profile lets all of the home be written, what decides about sessions and tells of them stays as it is."""
    if sg.who != "root":  # root's home alone can be the test's, in a mount namespace of its own: there is no user's half
        return
    plain, text = sg.command, profile(["${HOME}/**"])
    sg.command = lambda arguments: ["unshare", "-m", "/bin/sh", "-c", 'mount --bind "$0" /root && exec "$@"', sg.home] + plain(arguments)
    steps, name_below = name.split("/"), ""
    for step in steps[:-1]:  # nor is it led elsewhere while it is not there
        name_below += "/" + step
        led = sg.shell(text, "mkdir -p /root/evil && ln -s /root/evil /root%s" % name_below)
        if not name_below.startswith("/%s/shellguard/" % "/".join(steps[:steps.index("shellguard")])):
            assert led.refusals("/root" + name_below), name_below
        assert led.status != 0 and not os.path.lexists(sg.home + name_below)
        os.mkdir(sg.home + name_below)
    path = sg.write(name, "kept\n", folder=sg.home)
    done = sg.shell(text, "echo x > {p}; rm -f {p}; mv {p} /root/x; mv {t} {t}2; rm -rf {t}; echo neighbour > /root/free".format(
        p="/root/" + name, t="/root/" + name.split("/")[0]))
    assert open(path, encoding="ascii").read() == "kept\n", done.stderr
    assert open(sg.home + "/free", encoding="ascii").read() == "neighbour\n"
    assert done.refusals("/root/" + name)


TAKE_OVER = "cd {h}; for t in {t}; do echo x > $t/shellguard/{n}; mv $t $t.2; mkdir -p $t/shellguard/new; ls -d $t.2; done; echo free > free; cat free"


def test_folders_named_by_variables_are_not_the_world_s_to_write(sg):
    """Profiles and records of a user whose variables put them elsewhere; a folder above them is not moved away either."""
    env = {"XDG_CONFIG_HOME": sg.home + "/settings", "XDG_STATE_HOME": sg.home + "/state", "XDG_RUNTIME_DIR": sg.home + "/run"}
    for name in ("settings", "state", "run"):
        for folder in (name, name + "/shellguard"):
            os.makedirs(os.path.join(sg.home, folder), mode=0o700, exist_ok=True)
            if os.getuid() == 0:
                os.chown(os.path.join(sg.home, folder), sg.uid, sg.uid)
    done = sg.shell(profile([sg.home + "/**"]), TAKE_OVER.format(h=sg.home, t="settings state run", n="x"), env=env)
    assert done.stdout == "free\n", (done.stdout, done.stderr)
    assert {n for n in os.listdir(sg.home) if n.endswith(".2")} == set() and len(done.of("refusal", operation="rename")) == 3
    assert not os.path.exists(sg.home + "/settings/shellguard/x") and not os.path.exists(sg.home + "/state/shellguard/new")


@pytest.mark.parametrize("sg", ["root"], indirect=True)
def test_the_doors_are_not_moved_away(sg):
    """As root, where a profile gives all of /run: the folder above the doors is no mount point, and was moved from under them."""
    plain = sg.command
    sg.command = lambda arguments: ["unshare", "-m", "/bin/sh", "-c", 'mount -t tmpfs -o mode=0777 none /run && exec "$@"', "sh"] + plain(arguments)
    # Before Linux 6.3 a tmpfs cannot be idmapped: so everybody may write to it.
    text = profile(["/run/**"]) + '[Misc]\nAcceptMissing = ["idmapped-mounts"]\n'
    done = sg.shell(text, "cd /run; mv shellguard gone; ls -d gone; mkdir -p shellguard/new; ls shellguard; echo free > free; cat free")
    # Beside them the locks of AppArmor's profiles, where there are any (tests/live/test_apparmor.py).
    assert done.stdout.removeprefix("apparmor\n") == "sessions\nfree\n", (done.stdout, done.stderr)
    assert done.of("refusal", operation="rename")


def test_a_world_that_could_mount_does_not_run(sg):
    text = profile(["/tmp/**"]) + '[Misc]\nFlags = ["mount"]\n'
    done = sg.run(text, "/bin/true")
    assert done.status == 125 and "CAP_SYS_ADMIN" in done.stderr
    # Names are decided from the world's root: no program may have another one.
    rooted = sg.run(text + 'DenyCapabilities = ["CAP_SYS_ADMIN"]\n', "/bin/true")
    assert rooted.status == 125 and "gives chroot together with CAP_SYS_CHROOT" in rooted.stderr
    own = profile(["/tmp/**"]) + '[Define.rooting]\nSyscalls = ["chroot"]\nCapabilities = ["CAP_SYS_CHROOT"]\n[Misc]\nFlags = ["rooting"]\n'
    assert "gives chroot together with CAP_SYS_CHROOT" in sg.run(own, "/bin/true").stderr
    without = sg.run(text + 'DenyCapabilities = ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]\n', "/usr/bin/python3", "-c",
                     "import os\ntry: os.chroot('/tmp')\nexcept PermissionError: print('no')")
    assert without.status == 0 and without.stdout.strip() in ("no", b"no"), without.stderr


THREE_THREADS = r"""
import ctypes, os, threading, time
libc = ctypes.CDLL(None)
failed = threading.Event()
def traced_for_a_while():  # the call is let go on, and fails: the thread is watched for some more milliseconds
    libc.syscall(ctypes.c_long(59), b"/usr/bin/true", ctypes.c_void_p(8), None)
    failed.set()
    time.sleep(100)
def second():
    failed.wait()
    time.sleep(0.002)
    libc.syscall(ctypes.c_long(59), b"/usr/bin/true", (ctypes.c_char_p * 2)(b"true", None), None)
    time.sleep(100)
arguments = (ctypes.c_char_p * 20)(*([b"true"] + [b"x" * 100000] * 18 + [None]))
threading.Thread(target=second).start()
threading.Thread(target=traced_for_a_while).start()
failed.wait()
time.sleep(0.001)
libc.syscall(ctypes.c_long(59), b"/usr/bin/true", arguments, None)
"""


def test_threads_that_execute_at_once_do_not_hold_up_the_supervisor(sg):
    """ptrace_attach waits for a thread in execve, which waits until a traced thread that it killed is reaped: by us."""
    script = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do /usr/bin/python3 -c "$0"; done; echo end'
    done = sg.run(BASE % ("", ""), "/bin/sh", "-c", script, THREE_THREADS, timeout=50)
    assert (done.status, done.stdout) == (0, "end\n"), done.stderr


def test_openings_of_the_dead_do_not_wait_for_ever(sg):
    """Each opening of a FIFO that waits has a place in the supervisor; those of killed callers are given back."""
    script = """
mkfifo /tmp/f || exit 1
i=0 all=
while [ $i -lt 120 ]; do
    cat /tmp/f & all="$all $!"
    i=$((i + 1))
    [ $((i % 20)) = 0 ] && { kill -9 $all; wait $all; all=; }
done
cat /tmp/f & echo through >/tmp/f || exit 2
wait
"""
    text = (BASE % ("", "")).replace('"links"]', '"links", "mknod"]')
    done = sg.shell(text, script)
    assert (done.status, done.stdout) == (0, "through\n"), done.stderr


def test_a_lease_holds_nobody_up(sg):
    """A lease makes whoever opens the file wait, a supervisor too (fcntl(2): as long as lease-break-time, 45 s)."""
    script = "import fcntl, os; f = os.open('/tmp/x', os.O_CREAT | os.O_RDWR); fcntl.fcntl(f, 1024, fcntl.F_WRLCK)"
    text = (BASE % ("", "")).replace('"timers"]', '"timers", "watch"]')
    done = sg.run(text, "/usr/bin/python3", "-c", script)
    assert "PermissionError" in done.stderr
    assert done.refusals("fcntl")


def test_a_stranger_s_link_in_a_shared_folder_is_not_followed(sg):
    """What the kernel does not follow (fs.protected_symlinks), the supervisor's walk through /proc does not follow either."""
    if os.getuid() != 0:
        pytest.skip("this needs root, to make another user's link")
    shared = os.path.join(sg.work, "shared")
    os.mkdir(shared)
    os.chmod(shared, 0o1777)
    target = sg.write("target", "kept\n")
    for name, owner in (("foreign", 12345), ("own", sg.uid)):
        os.symlink(target, os.path.join(shared, name))
        os.lchown(os.path.join(shared, name), owner, owner)
    text = profile([shared + "/**", sg.cwd + "/**"])
    foreign = sg.shell(text, "cd %s && echo x >> /proc/self/cwd/foreign" % shared)
    assert foreign.status != 0 and open(target, encoding="ascii").read() == "kept\n"
    own = sg.shell(text, "cd %s && echo x >> /proc/self/cwd/own" % shared)
    assert own.status == 0 and open(target, encoding="ascii").read() == "kept\nx\n", own.stderr


def test_a_working_directory_with_the_signs_of_globs(sg):
    """${CWD} is text: the names that it would match as a glob are not granted."""
    folder = os.path.join(sg.home, "a*{b,c}[d]?")
    for name in (folder, os.path.join(sg.home, "a-b-d-"), os.path.join(sg.home, "a*bd1")):
        os.mkdir(name)
        os.chown(name, sg.uid, sg.uid)
    done = sg.shell(profile(["${CWD}/**"]), "echo x > here; ls ..; echo x > ../a-b-d-/x; echo x > '../a*bd1/x'", cwd=folder)
    assert open(folder + "/here", encoding="ascii").read() == "x\n", done.stderr
    assert "a-b-d-" not in done.stdout
    assert os.listdir(sg.home + "/a-b-d-") == [] and os.listdir(sg.home + "/a*bd1") == []


def test_no_descriptor_of_the_caller_comes_along(sg, secret):
    """Files, folders and sockets that the caller of `run` left open, at small numbers and large ones."""
    low, high = os.open(secret, os.O_RDONLY), os.open(os.path.dirname(secret), os.O_RDONLY)
    try:
        far = 900
        os.dup2(high, far)
        done = sg.shell(BASE % ("", ""), "ls -l /proc/self/fd /proc/1/fd /proc/$$/fd; ls /proc/self/fd/%d/" % far,
                        pass_fds=(low, high, far))
        os.close(far)
    finally:
        os.close(low)
        os.close(high)
    assert "secret" not in done.stdout and "key" not in done.stdout
    assert str(far) not in done.stdout.split()


def test_a_named_file_is_read_as_its_owner_reads_it(sg):
    """A key of mode 0600 that a rule names by itself; a rule for a tree gives root's world no more than any user may read."""
    for folder in ("named", "tree"):
        sg.write(folder + "/key", "the-key\n", mode=0o600, folder=sg.home)
        sg.write(folder + "/other", "the-other\n", mode=0o600, folder=sg.home)
    named, tree = os.path.join(sg.home, "named"), os.path.join(sg.home, "tree")
    text = profile([]).replace('"tmp", "write"', '"tmp"').replace('"/etc/**"]', '"/etc/**", "%s/key", "%s/**"]' % (named, tree))
    done = sg.shell(text, "cat {0}/key; cat {0}/other; stat -c %u {0}/key; echo x >> {0}/key; ls {0}".format(named))
    assert done.stdout == "the-key\n%d\nkey\n" % sg.uid, done.stderr
    done = sg.shell(text, "cat %s/key" % tree)
    assert done.stdout == ("" if sg.who == "root" else "the-key\n"), done.stderr
    # Nothing of it leads elsewhere: the mode and the owner are not to be changed, nor the file linked.
    done = sg.shell(text.replace('Flags = ["tmp"', 'Flags = ["tmp", "attributes"'), "chmod 644 {0}/key; chown 1 {0}/key; ln {0}/key /tmp/k; ls /tmp".format(named))
    assert done.stdout == "" and os.stat(named + "/key").st_mode & 0o777 == 0o600


LEASE = r"""
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, lambda *_: None)  # it is told, and keeps it
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
print("leased", flush=True)
sys.stdin.readline()
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
print("given back", flush=True)
sys.stdin.readline()
"""

LEASED = r"""
import os, sys, threading, time
def leased():
    with open("leased", "a") as f:
        f.write("written")
for i in range(int(sys.argv[1])):  # what comes in a row is opened another way
    os.close(os.open("row", os.O_WRONLY | os.O_CREAT))
waits = threading.Thread(target=leased)
waits.start()
try:
    os.open("leased", os.O_WRONLY | os.O_NONBLOCK)
except BlockingIOError:
    print("would block", flush=True)
for i in range(50):  # other openings go on meanwhile
    with open("free-%d" % i, "w") as f:
        f.write("x")
print("free", flush=True)
waits.join()
print("written", open("leased").read(), os.get_blocking(os.open("leased", os.O_WRONLY)), flush=True)
"""


@pytest.mark.parametrize("row", [0, 100])
def test_a_lease_held_outside_stops_only_its_opener(sg, row):
    """The opening of a file waits while somebody outside keeps a lease on it; nobody else's does."""
    sg.write("leased", "")
    holder = subprocess.Popen(sg.command(["/usr/bin/python3", "-c", LEASE, os.path.join(sg.cwd, "leased")]), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "leased\n"
    process, _ = sg.start(profile([sg.cwd + "/**"]), "/usr/bin/python3", "-c", LEASED, str(row), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert [process.stdout.readline(), process.stdout.readline()] == [b"would block\n", b"free\n"]
        assert process.poll() is None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "given back\n"
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 0 and out == b"written written True\n", out
    finally:
        process.kill()
        process.communicate()
        holder.communicate("\n", timeout=30)


CALLERS = r"""
import os, sys
def caller(number):
    for i in range(400):
        name = "%d-%d" % (number, i % 5)
        fds = [os.open(name, os.O_RDONLY), os.open(name, os.O_RDONLY | os.O_CLOEXEC)]
        for fd in fds:
            if os.read(fd, 100).decode() != name or not os.get_blocking(fd):
                return 1
            os.close(fd)
        try:
            os.open(name + ".no", os.O_RDONLY)
            return 2
        except PermissionError:
            pass
    return 0 if sorted(os.listdir("/proc/self/fd")) == ["0", "1", "2", "3"] else 3
children = []
for number in range(8):
    child = os.fork()
    if child == 0:
        os._exit(caller(number))
    children.append(child)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


def test_many_callers_at_once(sg):
    """Each gets the file that it asked for, once, however it is answered (on many machines some are answered in two steps)."""
    for number in range(8):
        for i in range(5):
            sg.write("%d-%d" % (number, i), "%d-%d" % (number, i), folder=sg.cwd)
            sg.write("%d-%d.no" % (number, i), "", folder=sg.cwd)
    text = profile([sg.cwd + "/**"]).replace("[Runtime]", 'Deny = ["%s/*.no"]\n[Runtime]' % sg.cwd)
    done = sg.run(text, "/usr/bin/python3", "-c", CALLERS, timeout=120)
    assert (done.status, done.stdout) == (0, "%s\n" % ([0] * 8)), done.stderr


WORKING = """
set -e
mkdir -p a/b; echo text > a/file; ln a/file a/b/linked; mv a/file a/b/moved; cat a/b/moved
echo x > /tmp/x; mv /tmp/x /tmp/y; cat /dev/null; echo y > /dev/null
sleep 60 & kill $!; wait $! || true
cp /usr/bin/true ./true; ./true || echo "not executed"
cat /etc/passwd > /dev/null; ls / > /dev/null; echo x >> /etc/passwd || echo "not written"
"""


def bounded(sg, misc=""):
    return profile([sg.cwd + "/**"]).replace("[Runtime]", 'Bounds = ["landlock"]\n[Runtime]') + misc


def test_a_second_bound(sg):
    """With Landlock's part for files behind the mount tree everything works as without."""
    outputs = []
    for text in (profile([sg.cwd + "/**"]), bounded(sg)):
        done = sg.shell(text, WORKING, env={"LC_ALL": "C"})
        assert done.status == 0, done.stderr
        outputs.append(done.stdout)
        subprocess.run(["rm", "-rf", os.path.join(sg.cwd, "a"), os.path.join(sg.cwd, "true")], check=True)
    assert outputs[0] == outputs[1] and outputs[1].split("\n")[0] == "text" and "not written" in outputs[1]
    explained = sg.cli("explain", "--long", "--cost", sg.profile(bounded(sg))).stdout
    assert "behind the mount tree: landlock" in explained and "a third to a half" in explained
    wrong = sg.cli("check", sg.profile(bounded(sg).replace('"landlock"', '"landlok"')))
    assert wrong.returncode == 1 and 'there is no bound "landlok"' in wrong.stderr and "landlock" in wrong.stderr


def test_refusals_where_case_is_the_same(sg):
    """Two links whose names differ in case alone are what a file system that folds case looks like."""
    folder = os.path.join(sg.work, "folding")
    sg.write("Secret.key", "text\n", folder=folder)
    text = profile([]).replace("ReadOnly = [", 'ReadOnly = ["%s/**", ' % folder).replace("ReadWrite = []\n", "")
    denying = text.replace("[Runtime]", 'Deny = ["%s/Secret.key"]\n[Runtime]' % folder)
    assert sg.shell(denying, "cat %s/Secret.key" % folder).refusals(folder + "/Secret.key") or \
        sg.shell(denying, "cat %s/Secret.key" % folder).status == 1
    os.link(os.path.join(folder, "Secret.key"), os.path.join(folder, "sECRET.KEY"))
    done = sg.shell(denying, "cat %s/sECRET.KEY" % folder)
    assert done.status == 125 and 'Deny "%s/Secret.key" cannot be held in %s' % (folder, folder) in done.stderr
    assert not done.records and "text" not in done.stdout
    assert sg.shell(text, "cat %s/sECRET.KEY" % folder).stdout == "text\n"  # what refuses nothing there runs


CORES = """
import os, resource, signal
os.chdir(%r)
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGSEGV)
status = os.waitpid(pid, 0)[1]
print(resource.getrlimit(resource.RLIMIT_CORE)[0], os.WTERMSIG(status), sorted(os.listdir(".")))
"""


def test_cores_are_not_held_beside_decided_names(sg):
    """The kernel writes them past what is decided: a profile with both is refused, and check and explain say so."""
    folder = os.path.join(sg.work, "tree")
    sg.write("a.txt", "a\n", folder=folder)
    if os.getuid() == 0:
        os.chown(folder, sg.uid, sg.uid)
    whole = conftest.BASE.replace('Flags = ["tmp"]', 'Flags = ["tmp"]\nReadWrite = ["%s/**"]' % folder)
    limit = 'Limits = { CoreSize = "64MiB" }\n'
    rows = [(whole.replace("Exec", 'Deny = ["%s/*.key"]\nExec' % folder), "Deny"),
            (whole.replace("Exec", 'DenyWrite = ["%s/core*"]\nExec' % folder), "DenyWrite"),
            (whole.replace("Exec", 'Hide = ["%s/*.key"]\nExec' % folder), "Hide"),
            (whole.replace("Exec", 'LogOnWrite = ["%s/**"]\nExec' % folder), "LogOnWrite"),
            (whole.replace("/tree/**", "/tree/*.txt"), "ReadWrite")]
    for text, key in rows:
        assert sg.run(text, "/bin/true").status == 0, key
        refused = sg.run(text + limit, "/bin/true")
        assert refused.status == 125 and refused.records == [], (key, refused.stderr)
        words = " ".join(refused.stderr.split())
        assert 'Limits.CoreSize cannot be held together with %s "%s/' % (key, folder) in words and "Leave CoreSize out" in words, words
        explained = sg.cli("explain", sg.profile(text + limit))
        assert explained.returncode == 3 and "Limits.CoreSize cannot be held" in explained.stderr
        checked = sg.cli("check", sg.profile(text + limit))
        assert checked.returncode == 3 and "no errors" in checked.stdout
        assert 'in this folder "run" would refuse it: ' in checked.stderr and "Limits.CoreSize" in checked.stderr
        done = sg.run(text + "Limits = { CoreSize = 1 }\n", "/usr/bin/python3", "-c", CORES % folder)  # which is none
        assert done.status == 0 and done.stdout.startswith("1 11 ") and "core" not in done.stdout, done.stdout + done.stderr
    # The neighbours: whole folders, and refusals where nothing is written.
    for text in (whole, whole.replace("Exec", 'Deny = ["/etc/*.key"]\nExec')):
        done = sg.run(text + limit, "/usr/bin/python3", "-c", CORES % folder)
        assert done.status == 0 and done.stdout.startswith("%d 11 " % (64 << 20)), done.stdout + done.stderr
    assert sg.cli("check", sg.profile(whole + limit)).stdout.count("\n") == 1


TERMINALS = """
import errno, os
held = []
try:
    while len(held) < 5000:
        held.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
except OSError as e:
    print(len(held), errno.errorcode[e.errno])
"""


def test_a_world_leaves_terminals_to_others(sg):
    """The kernel has one number of them for all worlds and containers together."""
    profile = conftest.BASE.replace('Flags = ["tmp"]', 'Flags = ["tmp", "tty"]')
    count, error = sg.run(profile, "/usr/bin/python3", "-c", TERMINALS).stdout.split()
    shared = [int(open("/proc/sys/kernel/pty/" + name, encoding="ascii").read()) for name in ("max", "reserve")]
    assert error == "ENOSPC" and 0 < int(count) <= 256 < (shared[0] - shared[1]) / 2


PASSING = """
import array, os, socket
with socket.socket(socket.AF_UNIX) as s:
    s.connect("pass.sock")
    data, messages, _, _ = s.recvmsg(1, socket.CMSG_SPACE(4))
folder = array.array("i", messages[0][2])[0]
for name in ("inside", "../above"):
    try:
        print(os.read(os.open(name, os.O_RDONLY, dir_fd=folder), 99).decode().strip())
    except OSError as e:
        print(e.errno)
"""


@pytest.mark.parametrize("bounds", ("", 'Bounds = ["landlock"]\n'), ids=("plain", "landlock"))
def test_a_folder_that_is_passed_in(sg, bounds):
    """By a process of the host, over a socket that the profile allows: what docs/promises.md says is not held, and what holds it."""
    folder = os.path.join(sg.work, "given")
    sg.write("inside", "host", folder=folder)
    sg.write("above", "host", folder=sg.work)
    profile = conftest.BASE.replace('Flags = ["tmp"]', '%sFlags = ["tmp"]\nReadWrite = ["%s/**"]' % (bounds, sg.cwd))
    profile += '[Networking]\nFlags = ["unix"]\nAllow = ["unix:%s/**"]\n' % sg.cwd
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.join(sg.cwd, "pass.sock"))
        os.chmod(os.path.join(sg.cwd, "pass.sock"), 0o777)
        server.listen()
        server.settimeout(50)
        process, _ = sg.start(profile, "/usr/bin/python3", "-c", PASSING, stdout=subprocess.PIPE)
        peer, _ = server.accept()
        given = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with peer:
            socket.send_fds(peer, [b"x"], [given])
        os.close(given)
        assert process.communicate(timeout=50)[0].split() == ([b"13", b"13"] if bounds else [b"host", b"host"])
