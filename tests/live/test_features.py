"""doctor, and what becomes of a profile where the kernel lacks something: it holds all the same, or is refused by name.

A program of the tests' own (build/tests/live/shellguard-hiding) takes the features that SG_HIDE_FEATURES names for missing.
"""
import json
import os
import re
import shutil
import signal
import time

import pytest

from conftest import BASE, ROOT, cannot
from test_network import LINKS, UNIX, profile as network_profile
from test_network_cut import Sink, check_moving

# Enough of a world's promises to notice a way that was taken wrongly. THREAD opens by a directory's descriptor.
THREAD = """
import os, threading
def act():
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    for name in ("new", "kept"):
        try:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=folder))
            print(name, "opened")
        except OSError as error:
            print(name, error.strerror)
thread = threading.Thread(target=act)
thread.start()
thread.join()
"""
SCRIPT = """
cd "$1"
for name in open denied hidden shut/inside absent; do echo "$name: $(cat "$2/$name" 2>&1)"; done
ls -1 "$2"; test -e "$2/hidden" || echo "hidden does not exist"
echo more > made && cat made; echo no > kept
kill -0 "$3" 2>/dev/null || echo "nobody outside"
tail -n 1 /proc/self/cgroup
python3 thread.py
(echo out; echo err >&2) | cat
exit 7
"""


@pytest.fixture
def hiding(sg, prefix):
    """The identity, with the program that can be told to hide features."""
    program = os.path.join(ROOT, "build", "tests", "live", "shellguard-hiding")
    if not os.path.exists(program):
        cannot("the build has no shellguard-hiding")
    sg.program = os.path.join(prefix, "bin", "shellguard-hiding")
    if not os.path.exists(sg.program):
        shutil.copy(program, sg.program)
    return sg


def doctor(sg, hide=""):
    done = sg.cli("doctor", "--json", env={"SG_HIDE_FEATURES": hide})
    report = json.loads(done.stdout)
    return done.returncode, report, {f["name"]: f for f in report["features"]}


def scenario(sg, hide="", misc="", hidden=True):
    tree = os.path.join(sg.work, "tree")
    os.makedirs(os.path.join(tree, "shut"), exist_ok=True)
    for name in ("open", "denied", "hidden", "shut/inside"):
        sg.write(name, "the text of %s\n" % name, folder=tree)
    for name in ("made", "new"):
        if os.path.exists(os.path.join(sg.cwd, name)):
            os.unlink(os.path.join(sg.cwd, name))
    sg.write("kept", "kept\n")
    sg.write("thread.py", THREAD)
    profile = BASE.replace("ReadOnly = [", 'ReadOnly = ["%s/**", ' % tree).replace(
        "[Runtime]", 'ReadWrite = ["%s/**"]\nDeny = ["%s/denied", "%s/shut/**"]\n%sDenyWrite = ["%s/kept"]\n[Runtime]'
        % (sg.cwd, tree, tree, 'Hide = ["%s/hidden"]\n' % tree if hidden else "", sg.cwd))
    done = sg.run(profile + misc, "/bin/sh", "-c", SCRIPT, "sh", sg.cwd, tree, str(os.getpid()),
                  env={"SG_HIDE_FEATURES": hide}, options=["--quiet"])
    return done, open(os.path.join(sg.cwd, "kept"), encoding="ascii").read()


def features():
    """The rows of the table, in its order: (name, effect)."""
    with open(os.path.join(ROOT, "src", "tables", "features.def"), encoding="utf-8") as f:
        return re.findall(r'^SG_FEATURE\(\w+, "([^"]+)", "[^"]+", \w+, (\w+),', f.read(), re.M)


ALL = features()


def test_table():
    assert len(ALL) > 25 and len({name for name, _ in ALL}) == len(ALL)


def test_doctor(sg):
    status, report, found = doctor(sg)
    assert status == 0 and report["can_run"] is True, [f for f in found.values() if f["effect"] == "needed" and f["state"] != "present"]
    assert [(f["name"], f["effect"].upper()) for f in report["features"]] == ALL
    assert all(f["state"] == "present" for f in found.values() if f["effect"] == "needed")
    assert report["kernel"] == os.uname().release and report["uid"] == sg.uid
    text = sg.cli("doctor")
    rules = [f for f in found.values() if f["effect"] == "rule" and f["state"] in ("missing", "untried")]
    first = text.stdout.splitlines()[0]
    assert first == "this kernel and user can hold every promise" if not rules else first.startswith("worlds can be made here; ")
    for feature in found.values():
        assert re.search(r"^\S+ +%s +" % feature["name"], text.stdout, re.M), feature["name"]
    assert sg.cli("doctor").stdout == text.stdout


def test_doctor_says_where(sg):
    env = {"SHELLGUARD_SESSION": "20200101T000000Z-abcdef\x1b[31m", "GITLAB_CI": "true", "container": "podman"}
    report = json.loads(sg.cli("doctor", "--json", env=env).stdout)
    assert report["session"] == env["SHELLGUARD_SESSION"] and report["ci"] == "GitLab CI" and report["container"]
    text = sg.cli("doctor", env=env).stdout
    assert "within the ShellGuard session 20200101T000000Z-abcdef" in text.replace("\n", " ") and "\x1b" not in text


def test_doctor_within_a_world(sg):
    """There it cannot make worlds, and says so in order; nothing hangs."""
    done = sg.run(BASE.replace('Exec = [', 'Exec = ["%s", ' % sg.program).replace("ReadOnly = [", 'ReadOnly = ["%s", ' % sg.program),
                  sg.program, "doctor", "--json")
    report = json.loads(done.stdout)
    assert done.status == 1 and report["can_run"] is False and report["session"]
    assert {f["name"]: f["state"] for f in report["features"]}["user-namespaces"] == "missing"


@pytest.mark.parametrize("name", [name for name, effect in ALL])
def test_hidden_from_doctor(hiding, name):
    status, _, found = doctor(hiding, name)
    effect = dict(ALL)[name]
    assert found[name]["state"] in ("missing", "untried") and found[name]["remedy"]
    assert status == (1 if effect == "NEEDED" else 0)
    for feature in found.values():
        if feature["needs"] == name:
            assert feature["state"] == "untried"


def test_installed_program_hides_nothing(sg):
    status, _, found = doctor(sg, ",".join(name for name, _ in ALL))
    assert status == 0 and found["user-namespaces"]["state"] == "present"


def check_scenario(done, kept):
    lines = done.stdout.splitlines()
    assert done.status == 7, done.stderr
    assert lines[0] == "open: the text of open"
    assert lines[1].startswith("denied: ") and lines[1].endswith("Permission denied")
    assert lines[2].startswith("hidden: ") and lines[2].endswith("No such file or directory")
    assert lines[3].startswith("shut/inside: ") and lines[3].endswith("Permission denied")
    assert lines[4].endswith("No such file or directory")
    for line in ("hidden does not exist", "more", "nobody outside", "new opened", "kept Permission denied", "out"):
        assert line in lines, line
    assert "0::/" in lines and "hidden" not in lines and kept == "kept\n"


@pytest.mark.parametrize("name", [""] + [name for name, effect in ALL if effect not in ("NEEDED", "RULE")])
def test_holds_without(hiding, name):
    check_scenario(*scenario(hiding, name))


def test_holds_without_all(hiding):
    names = ",".join(name for name, effect in ALL if effect not in ("NEEDED", "RULE"))
    check_scenario(*scenario(hiding, names))


def test_idmapped_mounts(hiding):
    """As root a writable tree needs them; an ordinary user does not."""
    done, kept = scenario(hiding, "idmapped-mounts")
    if hiding.who == "user":
        return check_scenario(done, kept)
    assert done.status == 125 and "idmapped-mounts" in done.stderr and hiding.cwd in done.stderr
    assert not done.of("exec") and not os.path.exists(os.path.join(hiding.cwd, "made"))
    done, _ = scenario(hiding, "idmapped-mounts", '[Misc]\nAcceptMissing = ["idmapped-mounts"]\n')
    assert done.status == 7 and "without idmapped-mounts" in done.stderr
    assert done.of("session-start")[0]["features"] == {"missing": ["idmapped-mounts"], "accepted": ["idmapped-mounts"]}
    assert "made" not in os.listdir(hiding.cwd)  # the folder is root's, and the world's 0 is not


@pytest.mark.parametrize("capability", ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"])
def test_a_refused_folder_against_capabilities_that_enter_any(hiding, capability):
    """Before Linux 6.6 the folder that stands over a refused one is shut by its mode, which such a program does not ask."""
    tree = os.path.join(hiding.work, "tree")
    hiding.write("shut/inside", "TOPSECRET\n", folder=tree)
    for path in (tree, os.path.join(tree, "shut"), os.path.join(tree, "shut/inside")):
        if os.getuid() == 0:
            os.chown(path, hiding.uid, hiding.uid)
    profile = BASE.replace("ReadOnly = [", 'ReadOnly = ["%s/**", ' % tree).replace("[Runtime]", 'Deny = ["%s/shut/**"]\n[Runtime]' % tree)
    profile += '[Misc]\nFlags = ["more"]\n[Define.more]\nDescription = "more"\nCapabilities = ["%s"]\n' % capability
    done = hiding.shell(profile, "cat %s/shut/inside; echo end" % tree, env={"SG_HIDE_FEATURES": "tmpfs-user-attributes"})
    assert done.stdout == "end\n" and done.refusals(os.path.join(tree, "shut/inside")), (done.stdout, done.stderr)


def test_overlays(hiding):
    """Without them what is denied is decided at every opening, and what is hidden at every look."""
    name = "overlay-in-user-namespaces"
    done, kept = scenario(hiding, name)
    lines = done.stdout.splitlines()
    assert done.status == 7 and lines[0] == "open: the text of open" and kept == "kept\n"
    assert lines[1].endswith("denied: Permission denied") and lines[3].endswith("inside: Permission denied")
    assert lines[2].endswith("hidden: No such file or directory")
    assert done.refusals(os.path.join(hiding.work, "tree/denied"))
    tree = os.path.join(hiding.work, "tree")
    profile = BASE.replace("ReadOnly = [", 'ReadOnly = ["%s/**", ' % tree).replace("[Runtime]", 'Hide = ["%s/hidden"]\n[Runtime]' % tree)
    for hide in ("", name):
        done = hiding.shell(profile, "ls %s; stat %s/hidden" % (tree, tree), env={"SG_HIDE_FEATURES": hide})
        assert done.stdout.split() == ["denied", "open", "shut"] and "No such file" in done.stderr


def test_overlays_against_fifos(hiding):
    """Where there are none, Bounds = ["overlay"] decides each opening; a FIFO is not read either way."""
    tree = os.path.join(hiding.work, "pipes")
    hiding.write("file", "text\n", folder=tree)
    fifo = os.path.join(tree, "fifo")
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    speaker = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    os.write(speaker, b"said\n")
    profile = BASE.replace("ReadOnly = [", 'ReadOnly = ["%s/**", ' % tree).replace("[Runtime]", 'Bounds = ["overlay"]\n[Runtime]')
    for hide in ("", "overlay-in-user-namespaces"):
        done = hiding.shell(profile, "cat {0}/file; dd if={0}/fifo iflag=nonblock count=1".format(tree), env={"SG_HIDE_FEATURES": hide})
        assert done.stdout == "text\n" and bool(done.refusals(fifo)) == bool(hide), (hide, done.stderr)
    assert os.read(speaker, 100) == b"said\n"
    os.close(speaker)


def test_landlock_for_files(hiding):
    """A profile that asks for it does not run where there is none, unless it accepts that."""
    text = BASE.replace("[Runtime]", 'Bounds = ["landlock"]\n[Runtime]')
    done = hiding.run(text, "/bin/echo", "runs", env={"SG_HIDE_FEATURES": "landlock"})
    assert done.status == 125 and 'Bounds "landlock" needs the feature landlock' in done.stderr and not done.records
    done = hiding.run(text + '[Misc]\nAcceptMissing = ["landlock"]\n', "/bin/echo", "runs", env={"SG_HIDE_FEATURES": "landlock"})
    assert done.stdout == "runs\n" and "the mount tree alone" in done.stderr
    assert done.of("session-start")[0]["features"] == {"missing": ["landlock"], "accepted": ["landlock"]}
    assert hiding.run(text, "/bin/echo", "runs").stdout == "runs\n"


MEMORY = BASE + 'Limits = { Memory = "96MiB" }\n'
EATER = ["/usr/bin/python3", "-c", "x = bytearray(400 << 20); print(len(x))"]


def test_memory_limit(sg):
    """Held where this caller has a control group with the controller, refused by name elsewhere."""
    held = doctor(sg)[2]["cgroup-memory"]["state"] == "present"
    done = sg.run(MEMORY, *EATER)
    if held:
        assert done.status == 137 and done.stdout == ""
        assert sg.run(MEMORY, "/bin/echo", "fits").stdout == "fits\n"
        # What meets the limit ends; what decides about the world does not count there, and goes on.
        done = sg.shell(MEMORY.replace("[Runtime]", 'LogOnRead = ["/etc/hostname"]\n[Runtime]'),
                        "for i in 1 2 3; do /usr/bin/python3 -c 'x = bytearray(400 << 20)'; echo $?; done; read x </etc/hostname && echo alive")
        assert done.stdout == "137\n" * 3 + "alive\n" and done.of("grant", object="/etc/hostname"), (done.stdout, done.stderr)
        done = sg.shell(MEMORY, "cat /dev/zero >/tmp/full; echo alive")  # files in memory are the world's too
        assert done.status in (0, 137), (done.status, done.stderr)
        assert done.records[-1]["kind"] == "session-end"
    else:
        assert done.status == 125 and "cgroup-memory" in done.stderr and "Memory" in done.stderr and not done.records
    unlimited = sg.run(BASE, *EATER)
    assert unlimited.status == 0 and unlimited.stdout == "%d\n" % (400 << 20)


def test_memory_limit_accepted(hiding):
    refused = hiding.run(MEMORY, *EATER, env={"SG_HIDE_FEATURES": "cgroup-memory"})
    assert refused.status == 125 and "cgroup-memory" in refused.stderr and not refused.records
    dry = hiding.run(MEMORY, *EATER, env={"SG_HIDE_FEATURES": "cgroup-memory"}, options=["--dry-run"])
    assert dry.status == 125 and "cgroup-memory" in dry.stderr
    done = hiding.run(MEMORY + '[Misc]\nAcceptMissing = ["cgroup-memory"]\n', *EATER, env={"SG_HIDE_FEATURES": "cgroup-memory"})
    assert done.status == 0 and "without cgroup-memory" in done.stderr
    assert done.of("session-start")[0]["features"] == {"missing": ["cgroup-memory"], "accepted": ["cgroup-memory"]}


@pytest.mark.parametrize("hide", ["", "cgroup", "cgroup-pids"])
def test_process_limit(hiding, hide):
    script = "import os, time\nn = 0\ntry:\n while n < 100:\n  if os.fork() == 0: time.sleep(60)\n  n += 1\nexcept OSError as e:\n print(n, e.strerror)\n"
    done = hiding.run(BASE + "Limits = { Processes = 20 }\n", "/usr/bin/python3", "-c", script, env={"SG_HIDE_FEATURES": hide})
    count, text = done.stdout.split(" ", 1)
    assert 10 <= int(count) < 20 and text == "Resource temporarily unavailable\n"


def test_unknown_feature(sg):
    done = sg.cli("check", sg.profile('[Misc]\nAcceptMissing = ["cgroup-memry"]\n'))
    assert done.returncode == 1 and 'there is no feature "cgroup-memry"' in done.stderr and "cgroup-memory" in done.stderr
    done = sg.cli("check", sg.profile('[Misc]\nAcceptMissing = ["user-namespaces"]\n'))
    assert done.returncode == 1 and "cannot be done without" in done.stderr


def groups(report):
    """The control groups of worlds where the caller's are made."""
    place = re.fullmatch("in (/.*)", report["cgroup"]["detail"]).group(1)
    return {os.path.join(place, n) for n in os.listdir(place) if n.startswith("shellguard-")}


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def commands(group):
    names = set()
    with open(os.path.join(group, "cgroup.procs"), encoding="ascii") as f:
        for pid in f:
            try:
                with open("/proc/%s/comm" % pid.strip(), encoding="ascii") as comm:
                    names.add(comm.read().strip())
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended since
    return names


def test_control_group(sg):
    report = doctor(sg)[2]
    if report["cgroup"]["state"] != "present":
        assert sg.shell(BASE, "tail -n 1 /proc/self/cgroup").stdout == "0::/\n"
        return
    before = groups(report)
    process, _ = sg.start(BASE, "/usr/bin/sleep", "50")
    wait_for(lambda: any("sleep" in commands(g + "/world") for g in groups(report) - before), "no group")
    group, = [g for g in groups(report) - before if "sleep" in commands(g + "/world")]  # other tests may run beside us
    assert commands(group + "/world") == {"sg-init", "sleep"}
    assert commands(group + "/supervisor") == {"sg-supervisor", "sg-keeper", "sg-auditor"}
    # A crash of the front end leaves the group behind; the world ends all the same, and the next start cleans up.
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not commands(group + "/world") | commands(group + "/supervisor"), "the world lives on")
    assert os.path.exists(group)
    assert sg.shell(BASE, "tail -n 1 /proc/self/cgroup").stdout == "0::/\n"
    assert not os.path.exists(group)
    wait_for(lambda: groups(report) <= before, "a group stays behind")  # it goes with the last process of the session


@pytest.mark.parametrize("kind", ["handed-on", "duplicated", "inherited", "stopped", "connected"])
def test_a_cut_without_a_control_group(hiding, kind):
    """Nothing can be frozen there: the reading is repeated until it meets nothing new."""
    sink = Sink()
    try:
        text = network_profile(hiding, UNIX + 'Allow = ["tcp:127.0.0.1:%d"]\n' % sink.port, flags=LINKS)
        check_moving(hiding, sink, kind, text, env={"SG_HIDE_FEATURES": "cgroup"})
    finally:
        sink.listener.close()
