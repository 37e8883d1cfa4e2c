"""The adversary inside: each program tries what must not work, beside what must, as root and as an ordinary user.

The programs (tests/escape/*.c) say what came of each attempt in one line (probe.h). A test runs one of them in one world,
and holds three things: nothing escaped, what is allowed still works, and what our mediation refused is in the record.
"""
import json
import os
import pty
import select
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from live_conftest import BASE, ROOT, cannot, LONGER

PROGRAMS = os.path.join(os.environ.get("SG_BUILD_ROOT") or os.path.join(ROOT, "build"), "tests", "escape")
SECRET = "TOPSECRET\n"


@pytest.fixture(scope="session")
def programs():
    """The programs where every user can execute them."""
    if not os.path.exists(os.path.join(PROGRAMS, "escape_calls")):
        cannot("the programs of this suite are not built (a sanitizer's run-time does not link statically)")
    folder = tempfile.mkdtemp(prefix="sg-escape-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    for name in os.listdir(PROGRAMS):
        path = os.path.join(PROGRAMS, name)
        if name.startswith("escape_") and os.path.isfile(path):
            shutil.copy(path, folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def longer(count):
    """What a race or a storm is told to do: more of it in a soak."""
    return str(count * LONGER)


class Tree:
    """A folder of the host with things to read, to write and to keep from, and the profiles that speak of it."""

    def __init__(self, sg, programs):
        self.sg, self.programs = sg, programs
        self.ro, self.rw = os.path.join(sg.work, "ro"), os.path.join(sg.work, "rw")
        for folder in (self.ro, self.rw):
            os.mkdir(folder)
            self.own(folder)
            for name in ("sub", "private"):
                os.mkdir(os.path.join(folder, name))
                self.own(os.path.join(folder, name))
            for name, text in (("open.txt", "OPEN\n"), ("sub/open.txt", "OPEN\n"), ("secret.key", SECRET),
                               ("private/data", SECRET), ("keep.conf", "KEEP\n")):
                sg.write(name, text, folder=folder)
        self.links = os.path.join(sg.work, "links")
        os.makedirs(os.path.join(self.links, "private"))
        self.outside = sg.write("outside.key", SECRET, folder=sg.work)

    def own(self, path):
        if os.getuid() == 0:
            os.chown(path, self.sg.uid, self.sg.uid)

    def link_into(self, folder):
        """Symbolic links to a folder and what is in it, for `paths by-name`."""
        links = {"secret.key": "secret.key", "private/data": "private/data", "open.txt": "open.txt", "sub": "sub", "folder": ""}
        for name, target in links.items():
            os.symlink(os.path.join(folder, target), os.path.join(self.links, name))
        os.symlink("/proc/self/cwd", os.path.join(self.links, "proc"))
        os.symlink(folder, os.path.join(self.links, "chain-0"))
        for i in range(1, 45):
            os.symlink("chain-%d" % (i - 1), os.path.join(self.links, "chain-%d" % i))

    def profile(self, filesystem="", runtime="", flags=(), extra=""):
        """BASE with more: lines of [Filesystem] and [Runtime], flags by section, and whole sections."""
        text = BASE.replace('Exec = ["/usr/**"]', 'Exec = ["/usr/**", "%s/**"]\n%s' % (self.programs, filesystem))
        for name in flags:
            text += '[Define.also-%s]\nFlags = ["%s"]\n' % (name, name)
        if flags:
            text = text.replace('"timers"]', '"timers", %s]' % ", ".join('"also-%s"' % n for n in flags))
        return text.replace('"timers"', '"timers"' + "".join(', "%s"' % r for r in runtime.split())) + extra

    def run(self, profile, program, *arguments, **kwargs):
        return self.sg.run(profile, os.path.join(self.programs, "escape_" + program), *arguments, **kwargs)


@pytest.fixture
def tree(sg, programs):
    return Tree(sg, programs)


def lines(done, word):
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith(word + " ")]


def saw(done, name):
    return [line.split(" ", 2)[2] for line in done.stdout.splitlines() if line.startswith("saw %s " % name)]


def held(done, refused=1, works=1, status=0):
    """Nothing escaped, nothing allowed was refused, and the program came to its end."""
    assert not lines(done, "escaped"), done.stdout
    assert not lines(done, "broken"), done.stdout
    assert done.status == status, (done.status, done.stdout[-2000:], done.stderr[-2000:])
    assert len(lines(done, "refused")) >= refused and len(lines(done, "works")) >= works, done.stdout
    assert done.records[-1]["kind"] == "session-end"
    return done


# --- system calls ---

def test_foreign_abis_and_unknown_numbers(tree):
    done = held(tree.run(tree.profile(), "calls", "abi"), refused=18)
    # Where the kernel has no gate for 32-bit calls, any program faults there, in a world or not.
    native = subprocess.run([os.path.join(tree.programs, "escape_calls"), "abi"], capture_output=True, text=True)
    expected = "int80-fault" if "refused int80-fault" in native.stdout else "int80"
    assert expected in lines(done, "refused")


def test_calls_that_no_flag_gives(tree):
    done = held(tree.run(tree.profile(), "calls", "never"), refused=70)
    recorded = {r["object"] for r in done.of("refusal", operation="call")}
    for name in ("io_uring_setup", "userfaultfd", "bpf", "mount", "unshare", "clone", "setns", "ptrace", "open_by_handle_at"):
        assert name in recorded, name


def test_own_filters_only_narrow(tree):
    held(tree.run(tree.profile(), "calls", "filters"), refused=6, works=3)


def test_memory_is_not_both_writable_and_code(tree):
    held(tree.run(tree.profile(), "calls", "memory"), refused=11, works=2)


def test_privileges_do_not_come_back(tree):
    held(tree.run(tree.profile(), "calls", "privileges"), refused=18, works=2)


def on_a_terminal(tree, profile, *command):
    """Runs a command on a pty of its own and returns (exit status, all that it printed)."""
    master, slave = pty.openpty()
    process, log = tree.sg.start(profile, *command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    text = b""
    try:
        while True:
            piece = os.read(master, 65536)
            if not piece:
                break
            text += piece
    except OSError:
        pass
    status = process.wait(timeout=60)
    os.close(master)
    return status, text.decode(errors="replace").replace("\r", ""), log


def test_nothing_is_typed_for_the_next_reader(tree):
    status, text, _ = on_a_terminal(tree, tree.profile(flags=["tty"]), os.path.join(tree.programs, "escape_calls"), "terminal")
    assert status == 0 and "escaped" not in text and "broken" not in text, text
    assert text.count("refused ") >= 7 and "saw terminal /dev/pts/0" in text, text


# --- hidden names ---

def hiding(tree, kind):
    """A tree with names that wildcards hide, to read or to write, and its folder."""
    folder = tree.rw if kind == "write" else tree.ro
    for name in ("private/deep", "privy"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        tree.own(os.path.join(folder, name))
    tree.sg.write("list.key", "#!/bin/sh\n", mode=0o755, folder=folder)
    for name, target in (("to-there", "secret.key"), ("to-nothing", "absent.key"), ("in-there", "private"), ("in-nothing", "privado")):
        os.symlink(target, os.path.join(folder, name))
    profile = tree.profile('Hide = ["%s/*.key", "%s/priv*/**"]' % (folder, folder), flags=["unix", "watch", "links", "attributes"])
    grant = 'Read%s = ["%s/**"' % ("Write" if kind == "write" else "Only", folder)
    if kind == "write":
        return profile.replace("ReadOnly", grant + "]\nReadOnly", 1), folder
    return profile.replace("ReadOnly = [", grant + ", ", 1), folder


@pytest.mark.parametrize("kind", ["read", "write"])
def test_a_hidden_name_is_like_a_missing_one(tree, kind):
    profile, folder = hiding(tree, kind)
    pairs = ["secret.key", "absent.key", "list.key", "abse.key", "private", "privado", "private/data", "privado/data",
             "private/deep", "privado/deep", "privy", "prive", "to-there", "to-nothing", "in-there", "in-nothing"]
    done = tree.run(profile, "hidden", "alike", folder, *pairs[:12])
    held(done, refused=340, works=0)
    # A link is there for everybody; what it leads to is not.
    held(tree.run(profile, "hidden", "links", folder, *pairs[12:]), refused=90, works=0)
    for name in ("secret.key", "private/data"):
        with open(os.path.join(folder, name), encoding="ascii") as f:
            assert f.read() == SECRET
    assert not {"absent.key", "privado", "abse.key", "prive"} & set(os.listdir(folder))


@pytest.mark.parametrize("kind", ["read", "write"])
def test_listings_leave_hidden_names_out(tree, kind):
    profile, folder = hiding(tree, kind)
    assert {"secret.key", "private"} <= set(os.listdir(folder))  # which are there
    held(tree.run(profile, "hidden", "listing", folder, "open.txt", "secret.key", "list.key", "private", "privy"), refused=24,
         works=17)


def test_a_folder_that_is_entered_is_the_one_that_was_decided(tree):
    profile, folder = hiding(tree, "read")
    for name in ("visible", "private"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for hidden in ("private", "privado"):  # there is one, there is none: the race shows the same
        held(tree.run(profile, "hidden", "enter", os.path.join(folder, "visible"), os.path.join(folder, hidden), "20"), refused=1)


def test_a_shared_working_folder_does_not_tell(tree):
    profile, folder = hiding(tree, "read")
    for name in ("visible", "private"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for hidden in ("private", "privado"):
        held(tree.run(profile, "oracle", "shared", os.path.join(folder, "visible"), os.path.join(folder, hidden), "20"), works=0)


def test_an_execution_that_fails_does_not_tell(tree):
    profile, folder = hiding(tree, "read")
    for hidden in ("secret.key", "list.key", "absent.key"):
        path = os.path.join(folder, hidden)
        program = "/usr/bin/true".rjust(len(path), "/")
        held(tree.run(profile, "oracle", "execute", program, path, "15"), works=0)


def planted(tree, kind):
    """A writable tree with two programs, one of them refused or hidden; the profile, and the folder."""
    profile, folder = hiding(tree, "write")
    if kind == "deny":
        profile = tree.profile('ReadWrite = ["%s/**"]\nDeny = ["%s/*.key", "%s/priv*/**"]' % (folder, folder, folder))
    profile = profile.replace('Exec = ["/usr/**"', 'Exec = ["%s/**", "/usr/**"' % folder)
    files = [os.path.join(folder, name) for name in ("good.txt", "prog.key")]
    subprocess.run([os.path.join(tree.programs, "escape_oracle"), "plant", *files], check=True, stdout=subprocess.DEVNULL)
    for path in files:
        tree.own(path)
    return profile, folder


@pytest.mark.parametrize("kind", ["hide", "deny"])
def test_a_program_names_no_refused_loader(tree, kind):
    profile, folder = planted(tree, kind)
    names = ["good.txt", "prog.key", "secret.key", "absent.key", "private", "privado", "private/data", "privado/data"]
    done = held(tree.run(profile, "oracle", "loaders", folder + "/x", *[os.path.join(folder, n) for n in names]), refused=0, works=0)
    results = [int(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("saw ")]
    assert results[0] == 7 << 8  # an allowed one is run
    if kind == "hide":
        assert results[1:] == [2 << 8] * 7, results  # ENOENT, each
    else:
        assert results[1:3] == [13 << 8] * 2 and done.of("refusal", object=folder + "/prog.key"), results
    race = held(tree.run(profile, "oracle", "loader-race", folder + "/x", folder + "/good.txt", folder + "/prog.key", longer(300)), works=0)
    assert int(saw(race, "refused")[0]) > 0


def test_hiding_is_not_held_beside_calls_that_tell(tree):
    profile, folder = hiding(tree, "read")
    done = tree.sg.run(profile + '[Define.tell]\nSyscalls = ["open_tree"]\n[Misc]\nFlags = ["tell"]\n', "/bin/true")
    assert done.status == 125 and "cannot be held together with the call open_tree" in done.stderr and not done.records


# --- names ---

def reading_profiles(tree):
    """(name, profile, folder, mediated): ways in which the secret of a folder may be kept from a world that reads it."""
    ro, rw = tree.ro, tree.rw
    return {
        "covers": (tree.profile('Deny = ["%s/secret.key", "%s/private/**"]' % (ro, ro), flags=["links"]).replace(
            'ReadOnly = ["/usr/**"', 'ReadOnly = ["%s/**", "/usr/**"' % ro), ro, False),
        "globs": (tree.profile(flags=["links"]).replace(
            'ReadOnly = ["/usr/**"', 'ReadOnly = ["%s/", "%s/*.txt", "%s/sub/**", "/usr/**"' % (ro, ro, ro)), ro, True),
        "deny-globs": (tree.profile('Deny = ["%s/*.key", "%s/priv*/**"]' % (ro, ro), flags=["links"]).replace(
            'ReadOnly = ["/usr/**"', 'ReadOnly = ["%s/**", "/usr/**"' % ro), ro, True),
        "writable": (tree.profile('ReadWrite = ["%s/**"]\nDeny = ["%s/secret.key", "%s/private/**"]' % (rw, rw, rw),
                                  flags=["links"]), rw, True),
    }


PROFILES = ["covers", "globs", "deny-globs", "writable"]


@pytest.mark.parametrize("kind", PROFILES)
@pytest.mark.parametrize("secret", ["secret.key", "private/data"])
def test_no_spelling_reaches_a_denied_name(tree, kind, secret):
    profile, folder, mediated = reading_profiles(tree)[kind]
    tree.link_into(folder)
    profile = profile.replace('"/usr/**"', '"/usr/**", "%s/**"' % tree.links, 1)
    done = held(tree.run(profile, "paths", "by-name", folder, secret, "open.txt", tree.links), refused=50, works=25)
    if mediated:
        assert any(r.get("object") == os.path.join(folder, secret) for r in done.of("refusal", operation="open"))


@pytest.mark.parametrize("kind", PROFILES)
def test_path_descriptors_give_no_contents(tree, kind):
    profile, folder, _ = reading_profiles(tree)[kind]
    held(tree.run(profile, "paths", "path-descriptors", folder, "secret.key", "open.txt"), refused=20, works=2)


@pytest.mark.parametrize("kind", PROFILES)
def test_what_is_shown_and_not_granted_keeps_its_details(tree, kind):
    profile, folder, mediated = reading_profiles(tree)[kind]
    for name in ("secret.key", "open.txt"):
        os.setxattr(os.path.join(folder, name), "user.sg", b"TOPSECRET")
    os.symlink("TOPSECRET", os.path.join(folder, "link.key"))
    profile = profile.replace('/secret.key"', '/secret.key", "%s/link.key"' % folder) if kind == "writable" else profile
    done = held(tree.run(profile, "files", "details", folder, "secret.key", "open.txt", *["link.key"] * mediated),
                refused=11, works=3)
    asked = [r for r in done.of("refusal", operation="look") if r["object"] == os.path.join(folder, "secret.key")]
    assert not mediated or {r["error"] for r in asked} == {"ENODATA"}


@pytest.mark.parametrize("kind", PROFILES)
def test_openat2(tree, kind):
    profile, folder, _ = reading_profiles(tree)[kind]
    held(tree.run(profile, "paths", "openat2", folder, "secret.key", "open.txt"), refused=140)


@pytest.mark.parametrize("kind", PROFILES)
def test_the_host_tree_is_not_behind_the_world(tree, kind):
    profile, _, _ = reading_profiles(tree)[kind]
    held(tree.run(profile, "paths", "outside", tree.outside), refused=85)


def test_the_launcher_keeps_its_command_line(tree):
    held(tree.run(tree.profile(), "paths", "command-line", "record"), works=0)


# --- files ---

def writing_profiles(tree):
    """Ways to grant writing in a folder: by the mount alone, and with every change decided by name."""
    return {
        "native": tree.profile('ReadWrite = ["%s/**"]' % tree.rw, flags=["links", "mknod", "attributes"]),
        "decided": tree.profile('ReadWrite = ["%s/**"]\nDeny = ["%s/secret.key", "%s/private/**"]\nDenyWrite = ["%s/keep.conf"]\n'
                                'LogOnWrite = ["%s/**"]' % ((tree.rw,) * 5), flags=["links", "mknod", "attributes"]),
    }


WRITING = ["native", "decided"]


@pytest.mark.parametrize("kind", WRITING)
def test_no_set_id_bits(tree, kind):
    held(tree.run(writing_profiles(tree)[kind], "files", "modes", tree.rw), refused=60, works=3)
    for folder, folders, files in os.walk(tree.rw):
        for name in folders + files:
            assert os.lstat(os.path.join(folder, name)).st_mode & 0o6000 == 0, name


@pytest.mark.parametrize("kind", ["native", "globs", "covers"])
def test_attributes_of_what_may_only_be_read(tree, kind):
    profile = reading_profiles(tree)["deny-globs" if kind == "globs" else "covers"][0]
    if kind == "native":
        profile = tree.profile(flags=["links"]).replace('"/usr/**"', '"/usr/**", "%s/**"' % tree.ro, 1)
    profile += '[Define.attr]\nFlags = ["attributes"]\n'
    profile = profile.replace('"also-links"', '"also-links", "attr"')
    file = os.path.join(tree.ro, "open.txt")
    before = os.stat(file)
    held(tree.run(profile, "files", "attributes", file), refused=39)
    after = os.stat(file)
    assert (before.st_mode, before.st_mtime_ns, before.st_ctime_ns, before.st_nlink) == \
        (after.st_mode, after.st_mtime_ns, after.st_ctime_ns, after.st_nlink)


@pytest.mark.parametrize("kind", WRITING)
def test_attributes_that_are_not_the_worlds_to_set(tree, kind):
    held(tree.run(writing_profiles(tree)[kind], "files", "privileged-attributes", os.path.join(tree.rw, "mine")), refused=8)
    assert os.listxattr(os.path.join(tree.rw, "mine")) == []


@pytest.mark.parametrize("kind", WRITING)
def test_no_devices_are_made(tree, kind):
    held(tree.run(writing_profiles(tree)[kind], "files", "nodes", tree.rw), refused=8, works=2)
    for name in os.listdir(tree.rw):
        mode = os.lstat(os.path.join(tree.rw, name)).st_mode
        assert not stat.S_ISCHR(mode) and not stat.S_ISBLK(mode), name


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
@pytest.mark.parametrize("mediated", [False, True])
def test_nodes_of_the_host_in_a_read_only_tree(tree, kind, mediated):
    path = os.path.join(tree.ro, "node")
    reader = None
    if kind == "fifo":
        os.mkfifo(path, 0o666)
        os.chmod(path, 0o666)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    elif kind == "socket":
        reader = socket.socket(socket.AF_UNIX)
        reader.bind(path)
        os.chmod(path, 0o777)
    else:
        if os.getuid() != 0:
            cannot("making a device takes root")
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        os.chmod(path, 0o666)
    profile = reading_profiles(tree)["deny-globs"][0] if mediated else \
        tree.profile().replace('"/usr/**"', '"/usr/**", "%s/**"' % tree.ro, 1)
    held(tree.run(profile, "files", "host-node", path), refused=12)
    if kind == "fifo":
        assert os.read(reader, 10) == b""
        os.close(reader)


def test_no_move_or_link_out_of_a_denied_name(tree):
    done = held(tree.run(writing_profiles(tree)["decided"], "files", "moves", tree.rw), refused=40, works=3)
    for name, text in (("secret.key", SECRET), ("private/data", SECRET), ("keep.conf", "KEEP\n")):
        with open(os.path.join(tree.rw, name)) as file:
            assert file.read() == text, name
    assert sorted(os.listdir(os.path.join(tree.rw, "private"))) == ["data"]
    assert done.refusals(os.path.join(tree.rw, "secret.key")) and done.refusals(os.path.join(tree.rw, "keep.conf"))


@pytest.mark.parametrize("kind", ["covers", "deny-globs", "writable"])
def test_a_second_link_made_before_the_start(tree, kind):
    profile, folder, _ = reading_profiles(tree)[kind]
    profile = profile.replace("*.key", "secret.key")
    os.link(os.path.join(folder, "secret.key"), os.path.join(folder, "alias"))
    os.link(os.path.join(folder, "secret.key"), os.path.join(folder, "sub", "alias.txt"))
    held(tree.run(profile, "files", "aliases", folder, "secret.key", "alias", "sub/alias.txt"), refused=3)


@pytest.mark.parametrize("bound", ["covers", "overlay"])
@pytest.mark.parametrize("where", ["writable", "outside"])
def test_a_second_link_behind_an_overlay(tree, where, bound):
    """The refused name lies in another tree, or in none of the world's; its other name has the device of an overlay."""
    secret = {"writable": os.path.join(tree.rw, "secret.key"), "outside": tree.outside}[where]
    os.link(secret, os.path.join(tree.ro, "sub", "alias.txt"))
    covered = ', "%s/keep.conf"' % tree.ro if bound == "covers" else ""
    profile = tree.profile('ReadWrite = ["%s/**"]\nDeny = ["%s"%s]' % (tree.rw, secret, covered))
    profile = profile.replace('"/usr/**"', '"/usr/**", "%s/**"' % tree.ro, 1)
    if bound == "overlay":
        profile = profile.replace("[Runtime]", 'Bounds = ["overlay"]\n[Runtime]', 1)
    held(tree.run(profile, "files", "aliases", tree.ro, "sub/alias.txt"))


@pytest.mark.parametrize("rule", ["Deny", "DenyRead", "DenyWrite"])
def test_a_second_link_of_a_file_outside(tree, rule):
    """A file that a rule refuses and no rule shows, with another name in a tree that is granted without any decision."""
    os.link(tree.outside, os.path.join(tree.rw, "alias"))
    profile = tree.profile('ReadWrite = ["%s/**"]\n%s = ["%s"]' % (tree.rw, rule, tree.outside))
    attempts = ["aliases", tree.rw, "alias"] if rule != "DenyWrite" else ["cut", os.path.join(tree.rw, "alias")]
    held(tree.run(profile, "files", *attempts))
    with open(tree.outside, encoding="utf-8") as file:
        assert file.read() == SECRET


def own_names(tree, rule, names):
    profile = tree.profile('%s = [%s]' % (rule, ", ".join('"%s"' % n for n in names)))
    return profile + '[Misc]\nFlags = ["sysinfo"]\nDenySyscalls = ["sysfs", "ustat"]\n'


OWN = {"/proc/meminfo": ["/proc/meminfo", "/proc/self/../meminfo"],
       "/proc/self/status": ["/proc/self/status", "/proc/$$/status", "/proc/thread-self/status", "/proc/1/status", "/proc/self/task/$$/status"],
       "/proc/thread-self/stat": ["/proc/thread-self/stat", "/proc/self/task/$$/stat"],
       "/proc/mounts": ["/proc/mounts", "/proc/self/mounts"],
       "/proc/net/**": ["/proc/net/dev", "/proc/self/net/dev", "/proc/self/task/$$/net/dev"],
       "/proc/sys/kernel/**": ["/proc/sys/kernel/ostype"],
       "/dev/urandom": ["/dev/urandom", "/proc/self/root/dev/urandom"]}


@pytest.mark.parametrize("rule", ["Deny", "DenyRead", "Hide"])
def test_what_every_world_has_can_be_refused(tree, rule):
    """The world's own /proc and /dev are no mount that a rule asked for, and a refusal holds in them all the same."""
    script = "".join('head -c 1 %s >/dev/null && echo escaped %s;' % (n, n) for names in OWN.values() for n in names)
    script += "head -c 1 /proc/uptime >/dev/null && head -c 1 /dev/zero >/dev/null && echo works"
    done = tree.sg.shell(own_names(tree, rule, OWN), script)
    assert done.stdout == "works\n", (done.stdout, done.stderr)
    assert len({r["object"] for r in done.refusals()}) >= len(OWN)


def test_looks_into_what_every_world_has_are_recorded(tree):
    done = tree.sg.shell(own_names(tree, "LogOnRead", ["/proc/meminfo"]), "head -c 1 /proc/meminfo >/dev/null && echo works")
    assert done.stdout == "works\n" and done.of("grant", object="/proc/meminfo"), (done.stderr, done.records)


# --- processes ---

@pytest.fixture
def bystander(sg):
    """A process of the same user outside."""
    process = subprocess.Popen(sg.command(["sleep", "300"]))
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("kind", ["native", "deny-globs"])
def test_no_process_outside_is_reached(tree, bystander, kind):
    profile = reading_profiles(tree)[kind][0] if kind != "native" else tree.profile()
    profile = profile.replace('"timers"', '"timers", "debug", "scheduling"')
    held(tree.run(profile, "processes", "targets", str(bystander.pid), str(os.getpid())), refused=45)
    assert bystander.poll() is None


def test_killing_all_ends_only_the_world(tree, bystander):
    done = tree.run(tree.profile(), "processes", "kill-all")
    assert done.status == 0 and "works kill-all" in done.stdout
    assert bystander.poll() is None


def test_limits_of_the_first_process(tree):
    done = tree.run(tree.profile(), "processes", "limit-first")
    assert done.status in (7, 137, 152, 125) and done.records[-1]["kind"] == "session-end"


@pytest.mark.parametrize("kind", PROFILES)
def test_a_process_that_may_not_be_examined(tree, kind):
    profile, folder, _ = reading_profiles(tree)[kind]
    held(tree.run(profile, "processes", "undumpable", os.path.join(folder, "secret.key"), os.path.join(folder, "open.txt")),
         refused=3)


@pytest.mark.parametrize("sg", ["root"], indirect=True)  # an ordinary user has no second id to become
@pytest.mark.parametrize("kind", ["native", "decided"])
def test_the_caller_s_own_user_decides(tree, kind):
    profile = writing_profiles(tree)[kind].replace('"timers"', '"timers"', 1) + '\n[User]\nFlags = ["switch"]\n'
    os.chmod(tree.rw, 0o755)
    os.chmod(tree.sg.work, 0o755)
    done = held(tree.run(profile, "processes", "other-user", tree.rw, os.path.join(tree.rw, "open.txt")), refused=5, works=2)
    # What is opened on behalf is refused to another user than the world's: never opened with the world's rights.
    assert saw(done, "public") == ["given" if kind == "native" else "EPERM"]


@pytest.mark.parametrize("sg", ["root"], indirect=True)
def test_a_group_that_was_given_up_is_not_lent(tree):
    profile = writing_profiles(tree)["decided"].replace('"timers"', '"timers"', 1) + '\n[User]\nFlags = ["switch"]\n'
    done = held(tree.run(profile, "processes", "fewer-groups", os.path.join(tree.rw, "open.txt")), refused=5)
    assert saw(done, "could-not") == []


@pytest.mark.parametrize("mediated", [False, True])
def test_the_opener_s_namespaces_are_not_the_worlds(tree, mediated):
    made = subprocess.run(tree.sg.command(["ipcmk", "-M", "4444"]), capture_output=True, text=True)
    if made.returncode != 0:
        cannot("ipcmk: " + made.stderr)
    number = made.stdout.split()[-1]
    try:
        profile = reading_profiles(tree)["deny-globs" if mediated else "covers"][0] + '\n[Misc]\nFlags = ["sysinfo"]\n' \
            if mediated else tree.profile(extra='\n[Misc]\nFlags = ["sysinfo"]\n')
        held(tree.run(profile.replace('"/etc/**"', '"/etc/**", "/proc/**"', 1), "processes", "opener", "4444"), refused=3, works=0)
    finally:
        subprocess.run(tree.sg.command(["ipcrm", "-m", number]), check=True)


def test_the_keys_of_the_session_stay_outside(tree):
    starter = ("import ctypes, os, sys\n"
               "libc = ctypes.CDLL(None, use_errno=True)\n"
               "libc.syscall(250, 1, 0, 0, 0, 0)\n"
               "key = libc.syscall(248, b'user', b'sg-escape', b'TOPSECRET', 9, -3)\n"
               "assert key > 0, ctypes.get_errno()\n"
               "os.execv(sys.argv[1], sys.argv[1:])\n")
    profile = tree.profile(extra='\n[Misc]\nFlags = ["keyring"]\n')
    log = os.path.join(tree.sg.work, "keys.jsonl")
    done = subprocess.run(tree.sg.command(["/usr/bin/python3", "-c", starter, tree.sg.program, "run", "--record", log, "-p",
                                           tree.sg.profile(profile), "--", os.path.join(tree.programs, "escape_processes"),
                                           "keys", "sg-escape"]), env=tree.sg.environment(), cwd=tree.sg.cwd,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "escaped" not in done.stdout and "broken" not in done.stdout, done.stdout + done.stderr
    assert "refused search-session" in done.stdout and "works own-key" in done.stdout


def test_no_program_of_the_host_makes_a_key(tree):
    done = held(tree.run(tree.profile(extra='\n[Misc]\nFlags = ["keyring"]\n'), "calls", "missing-key"), refused=4)
    refusals = done.refusals("request_key")
    assert len(refusals) == 4 and refusals[0]["error"] == "EPERM", refusals


@pytest.mark.parametrize("kind", WRITING)
def test_a_crash_writes_nothing_past_the_rules(tree, kind):
    if not open("/proc/sys/kernel/core_pattern").read().startswith("core"):
        cannot("core dumps of this host go elsewhere")
    profile = writing_profiles(tree)[kind].replace("keep.conf", "core*")
    done = tree.run(profile, "processes", "crash", tree.rw)
    assert done.status == 131, (done.status, done.stderr)
    assert [n for n in os.listdir(tree.rw) if n.startswith("core")] == []


@pytest.mark.parametrize("limit", ("", "[Runtime.Limits]\nCoreSize = 1\n"), ids=("default", "none"))
def test_the_limit_of_cores_stays(tree, limit):
    """Where core_pattern names a program, it runs as root of the host, and what it gets is the world's to choose."""
    held(tree.run(tree.profile(extra=limit), "processes", "cores"), refused=7, works=6)


# --- programs ---

@pytest.fixture
def shelf(tree):
    """A writable folder with a program that may be executed and one that may not, and code mapped from it."""
    folder = os.path.join(tree.rw, "x")
    os.mkdir(folder)
    for name in ("good", "evil"):
        shutil.copy(os.path.join(tree.programs, "escape_programs"), os.path.join(folder, name))
    shutil.copy("/usr/bin/true", os.path.join(folder, "evil-dynamic"))
    for name in [""] + os.listdir(folder):
        tree.own(os.path.join(folder, name))
    return folder


def shelf_profile(tree, shelf, runtime=""):
    text = tree.profile('ReadWrite = ["%s/**"]' % shelf, flags=["links", "shared-memory"], runtime=runtime)
    return text.replace('Exec = ["/usr/**"', 'Exec = ["%s/good*", "/usr/**"' % shelf, 1)


def test_execution_by_descriptors_and_odd_names(tree, shelf):
    done = held(tree.run(shelf_profile(tree, shelf), "programs", "by-descriptor", shelf), refused=16, works=6)
    assert done.refusals(os.path.join(shelf, "evil"))


def test_a_program_that_lost_its_name(tree, shelf):
    held(tree.run(shelf_profile(tree, shelf), "programs", "deleted", shelf), refused=2)


def test_loader_on_a_file_in_tmp(tree, shelf):
    done = tree.run(shelf_profile(tree, shelf), "programs", "loader", shelf, loader_path())
    assert "refused loader-tmp" in done.stdout, done.stdout


def test_loader_obeys_the_rule_of_its_file(tree, shelf):
    held(tree.run(shelf_profile(tree, shelf), "programs", "loader", shelf, loader_path()), refused=3, works=0)


def loader_path():
    return os.path.realpath("/lib64/ld-linux-x86-64.so.2")


def test_scripts_and_their_interpreters(tree, shelf):
    held(tree.run(shelf_profile(tree, shelf), "programs", "scripts", shelf), refused=11)


def test_race_on_the_path_of_an_execution(tree, shelf):
    done = held(tree.run(shelf_profile(tree, shelf), "programs", "race-path", shelf, longer(100)))
    executed = {r["process"]["program"] for r in done.of("exec")}
    assert os.path.join(shelf, "evil") not in executed
    assert int(saw(done, "good")[0]) > 0, done.stdout


def test_race_on_the_arguments_of_an_execution(tree, shelf):
    done = held(tree.run(shelf_profile(tree, shelf), "programs", "race-argument", shelf, longer(60)), works=0)
    recorded = [r["process"]["argv"][2] for r in done.of("exec") if r["process"]["argv"][:2] == ["p", "say"]]
    assert len(recorded) == 60 and recorded == saw(done, "argument")


@pytest.mark.parametrize("debug", [False, True])
def test_whoever_executes(tree, shelf, debug):
    done = held(tree.run(shelf_profile(tree, shelf, runtime="debug" if debug else ""), "programs", "callers", shelf),
                refused=3, works=3)
    assert saw(done, "traced") == ["refused"]
    if debug:
        refusal = [r for r in done.of("refusal") if r["operation"] == "execute" and "traced" in r["reason"]]
        assert len(refusal) == 1 and "rule" not in refusal[0] and refusal[0]["error"] == "EPERM"


def test_executions_that_fail_do_not_wear_the_supervisor_out(tree, shelf):
    held(tree.run(shelf_profile(tree, shelf), "programs", "failing", shelf), refused=1)


def test_an_argument_behind_many_is_not_silently_lost(tree, shelf):
    done = tree.run(shelf_profile(tree, shelf), "programs", "many-arguments", shelf)
    assert done.status == 40
    record = [r for r in done.of("exec") if r["process"]["argv"][:2] == ["p", "say"]][0]
    kept = len(record["process"]["argv"])
    assert record["process"]["argv"][-1] == "--the-last-one" or \
        any(c["field"] == "process.argv" and kept + c["items"] == 6002 for c in record.get("cut", [])), record.get("cut")


# --- races ---

@pytest.mark.parametrize("kind", ["covers", "deny-globs", "writable"])
def test_race_on_the_path_behind_a_pointer(tree, kind):
    profile, folder, _ = reading_profiles(tree)[kind]
    shutil.copy(os.path.join(folder, "open.txt"), os.path.join(folder, "open__.txt"))  # as long as the other name
    os.chmod(os.path.join(folder, "open__.txt"), 0o644)
    done = held(tree.run(profile, "races", "pointer", os.path.join(folder, "open__.txt"), os.path.join(folder, "secret.key"),
                         longer(1000)))
    assert int(saw(done, "opened")[0]) > 0 and int(saw(done, "failed")[0]) > 0


@pytest.mark.parametrize("kind", [0, 1])
def test_race_of_a_sibling_that_swaps_names(tree, kind):
    profile, folder, _ = reading_profiles(tree)["writable"]
    if kind == 0:
        os.symlink("open.txt", os.path.join(folder, "way"))
    else:
        os.mkdir(os.path.join(folder, "way"))
        tree.own(os.path.join(folder, "way"))
        tree.sg.write("way/data", "OPEN\n", folder=folder)
        os.symlink("private", os.path.join(folder, "other"))
        if os.getuid() == 0:
            os.lchown(os.path.join(folder, "other"), tree.sg.uid, tree.sg.uid)
    done = held(tree.run(profile, "races", "swap", folder, str(kind), longer(700)), works=0)
    assert int(saw(done, "opened")[0]) > 0


@pytest.mark.parametrize("kind", ["covers", "deny-globs", "writable"])
def test_race_of_somebody_outside_who_moves_the_denied_folder(tree, kind):
    """mv private x; mkdir private; new secrets under the old name: a mount over the folder would have gone with it."""
    profile, folder, _ = reading_profiles(tree)[kind]
    private, path = os.path.join(folder, "private"), os.path.join(folder, "private", "data")
    process, log = tree.sg.start(profile, os.path.join(tree.programs, "escape_races"), "outside", path, longer(6000),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"saw ready 1\n"
    for i in range(400 * LONGER):
        if process.poll() is not None:
            break
        os.rename(private, os.path.join(tree.sg.work, "moved%d" % i))
        os.mkdir(private, 0o755)
        with open(path, "w") as file:
            file.write(SECRET)
        os.chmod(path, 0o644)
    out, err = process.stdout.read(), process.stderr.read()  # communicate() would pass over what readline() has read already
    process.wait(timeout=60 * LONGER)
    assert b"escaped" not in out and b"refused race-outside" in out and process.returncode == 0, (out, err, process.returncode)


@pytest.mark.parametrize("kind", ["deny-globs", "writable"])
def test_a_storm_of_signals(tree, kind):
    profile, folder, _ = reading_profiles(tree)[kind]
    done = held(tree.run(profile, "races", "signals", os.path.join(folder, "open.txt"), os.path.join(folder, "secret.key"), longer(10000)))
    assert int(saw(done, "ticks")[0]) > 0


# --- exhaustion ---

def test_fork_storm(tree):
    profile = tree.profile().replace("[Runtime]", "[Runtime]\nLimits = { Processes = 40 }", 1)
    held(tree.run(profile, "stress", "fork-storm", "40"), works=0)


@pytest.mark.parametrize("kind", ["deny-globs", "writable"])
def test_the_limit_of_descriptors(tree, kind):
    profile, folder, _ = reading_profiles(tree)[kind]
    held(tree.run(profile, "stress", "descriptors", os.path.join(folder, "open.txt"), os.path.join(folder, "secret.key")), refused=2)


def test_a_flood_from_many_threads(tree):
    profile, folder, _ = reading_profiles(tree)["deny-globs"]
    held(tree.run(profile, "stress", "flood", os.path.join(folder, "open.txt"), os.path.join(folder, "secret.key"), "100", "50"))


def test_a_flood_of_refusals_is_bounded(tree):
    done = held(tree.run(tree.profile(), "stress", "refusals", longer(20000)), works=0)
    assert len(done.stderr) < 200000, len(done.stderr)


@pytest.mark.parametrize("kind", ["covers", "deny-globs", "writable"])
def test_bad_memory(tree, kind):
    profile, folder, _ = reading_profiles(tree)[kind]
    profile = profile.replace('"also-links"]', '"also-links", "more"]') + '[Define.more]\nFlags = ["attributes", "unix"]\n'
    held(tree.run(profile, "stress", "bad-memory", os.path.join(folder, "open.txt")), refused=20)


def processes_of(front):
    """{name: pid} of our own processes of a session, from the front end down; PID 1 of the world is "sg-init"."""
    found, wanted = {}, [front]
    while wanted:
        pid = wanted.pop()
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as file:
                for child in file.read().split():
                    try:
                        with open("/proc/%s/comm" % child) as comm:
                            found.setdefault(comm.read().strip(), int(child))
                        wanted.append(int(child))
                    except OSError:
                        pass
    return found


def test_the_supervisor_leaks_nothing(tree):
    profile, folder, _ = reading_profiles(tree)["deny-globs"]
    process, log = tree.sg.start(profile, os.path.join(tree.programs, "escape_stress"), "many-opens",
                                 os.path.join(folder, "open.txt"), "10000", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    counts = []
    while len(counts) < 2:
        line = process.stdout.readline()
        assert line, process.wait(timeout=60)
        if line.startswith(b"saw "):
            supervisor = processes_of(process.pid)["sg-supervisor"]
            counts.append((len(os.listdir("/proc/%d/fd" % supervisor)) if os.getuid() == 0 else 0,
                           len(os.listdir("/proc/%d/task" % supervisor))))
            process.stdin.write(b"x")
            process.stdin.flush()
    process.communicate(timeout=60)
    assert process.returncode == 0 and counts[1][0] <= counts[0][0] + 2 and counts[0][1] == counts[1][1], counts


def test_fifos_whose_openers_die(tree):
    profile = tree.profile('ReadWrite = ["%s/**"]\nDeny = ["%s/private/**"]' % (tree.rw, tree.rw))
    fifo = os.path.join(tree.rw, "fifo")
    os.mkfifo(fifo)
    tree.own(fifo)
    done = tree.run(profile, "stress", "fifos", fifo, "40", os.path.join(tree.rw, "open.txt"))
    assert len(saw(done, "not-waiting")) < 4, done.stdout
    assert done.status == 0 and not lines(done, "broken") and "works fifo-afterwards" in done.stdout, (done.stdout, done.stderr)


# --- when one of ours dies ---

def all_below(pid):
    """Every process below a pid, however deep."""
    found, wanted = [], [pid]
    while wanted:
        pid = wanted.pop()
        try:
            for task in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/children" % (pid, task)) as file:
                    children = [int(c) for c in file.read().split()]
                found += children
                wanted += children
        except OSError:
            pass
    return found


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def await_end_of(pids, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(alive(p) for p in pids):
            return True
        select.select([], [], [], 0.01)
    return False


def opening_world(tree, kind="writable", **kwargs):
    profile, folder, _ = reading_profiles(tree)[kind]
    process, log = tree.sg.start(profile, os.path.join(tree.programs, "escape_stress"), "for-ever",
                                 os.path.join(folder, "open.txt"), os.path.join(folder, "secret.key"),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
    assert process.stdout.readline() == b"works open\n"
    return process, log


@pytest.mark.parametrize("victim", ["sg-supervisor", "sg-keeper", "sg-auditor", "sg-init", "front"])
def test_one_of_ours_is_killed(tree, victim):
    process, log = opening_world(tree)
    below = all_below(process.pid)
    names = processes_of(process.pid)
    os.kill(process.pid if victim == "front" else names[victim], signal.SIGKILL)
    if victim == "sg-auditor":
        # Nothing is granted any more; the program goes on refused until it is ended.
        process.send_signal(signal.SIGTERM) if os.getuid() != 0 or tree.sg.who == "root" else os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=40)
    assert b"escaped" not in out, out
    assert process.returncode != 0
    assert await_end_of(below), [p for p in below if alive(p)]


def test_supervisor_and_keeper_are_killed_at_once(tree):
    process, _ = opening_world(tree)
    below = all_below(process.pid)
    names = processes_of(process.pid)
    for name in ("sg-supervisor", "sg-keeper"):
        os.kill(names[name], signal.SIGKILL)
    out, _ = process.communicate(timeout=40)
    assert b"escaped" not in out and await_end_of(below)


@pytest.mark.parametrize("victim", ["sg-auditor", "sg-supervisor", "sg-keeper"])
def test_one_of_ours_is_stopped_and_ended(tree, victim):
    """A stopped process of ours holds the world up at most; ended with the session, nothing is left and nothing has passed."""
    process, _ = opening_world(tree)
    below = all_below(process.pid)
    os.kill(processes_of(process.pid)[victim], signal.SIGSTOP)
    os.kill(process.pid, signal.SIGKILL)
    for pid in below:  # what is stopped cannot see its peer's end; a fatal signal ends it
        if victim != "sg-keeper" and pid == below[0]:
            os.kill(pid, signal.SIGCONT)
    names = [p for p in below if alive(p)]
    for pid in names:
        try:
            os.kill(pid, signal.SIGCONT)
        except OSError:
            pass
    out, _ = process.communicate(timeout=40)
    assert b"escaped" not in out and await_end_of(below), [p for p in below if alive(p)]


def test_the_record_cannot_be_written(tree):
    """A file that may not grow: granting stops, and the session ends with an error and not silently."""
    profile, folder, _ = reading_profiles(tree)["writable"]
    limited = ["/usr/bin/prlimit", "--fsize=65536", tree.sg.program, "run", "--record", os.path.join(tree.sg.work, "small.jsonl"),
               "-p", tree.sg.profile(profile), "--", os.path.join(tree.programs, "escape_stress"), "for-ever",
               os.path.join(folder, "open.txt"), os.path.join(folder, "secret.key")]
    process = subprocess.Popen(tree.sg.command(limited), env=tree.sg.environment(), cwd=tree.sg.cwd, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    log, deadline = os.path.join(tree.sg.work, "small.jsonl"), time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        if os.path.exists(log) and os.path.getsize(log) > 60000:
            break
        select.select([], [], [], 0.01)
    below = all_below(process.pid)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=40)
    assert b"escaped" not in out and process.returncode != 0
    assert os.path.getsize(log) <= 65536 and await_end_of(below)


@pytest.mark.parametrize("sg", ["root"], indirect=True)  # mounting takes root
def test_a_full_disk_under_the_record(tree):
    small = os.path.join(tree.sg.work, "small")
    os.mkdir(small)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", small], capture_output=True, text=True)
    if done.returncode != 0:
        cannot("mount: " + done.stderr)
    folder = tree.rw
    profile = tree.profile('ReadWrite = ["%s/**"]\nDeny = ["%s/*.key"]\nLogOnRead = ["%s/**"]' % (folder, folder, folder))
    script = "while read line <open.txt; do read line <secret.key && echo $line; done; echo stopped"
    try:
        start = time.monotonic()
        done = subprocess.run([tree.sg.program, "run", "--record", os.path.join(small, "log"), "-p", tree.sg.profile(profile), "--cwd", folder,
                               "--", "/bin/sh", "-c", script],
                              env=tree.sg.environment(), cwd=tree.sg.cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        # The world ends with the record: what it may still do after the first refusal is nothing, or to say so.
        assert done.stdout in ("", "stopped\n") and done.returncode == 125, (done.returncode, done.stdout, done.stderr)
        assert "is not complete: No space left on device" in done.stderr, done.stderr
        with open(os.path.join(small, "log"), encoding="utf-8") as log:
            lines = log.readlines()
        assert len([line for line in lines if '"grant"' in line]) > 20 and time.monotonic() - start < 30
    finally:
        subprocess.run(["umount", "-l", small], check=True)


# --- what comes in from outside, and what is shown ---

def test_descriptors_and_folders_of_the_launcher_stay_outside(tree):
    secret = os.open(tree.outside, os.O_RDONLY)
    folder = os.open(tree.sg.work, os.O_RDONLY | os.O_DIRECTORY)
    for fd in (secret, folder):
        os.set_inheritable(fd, True)
    script = "ls -l /proc/self/fd /proc/1/fd 2>&1; cat /proc/self/fd/%d /proc/self/fd/%d/outside.key 2>&1; cat /proc/self/cwd/outside.key; " \
             "pwd; ls -a ." % (secret, folder)
    done = tree.sg.shell(tree.profile(), script, pass_fds=(secret, folder), cwd=tree.sg.work)
    os.close(secret)
    os.close(folder)
    assert "TOPSECRET" not in done.stdout and "outside.key" not in [w for w in done.stdout.split("\n") if w == "outside.key"]
    assert done.records[-1]["kind"] == "session-end"


def test_the_environment_of_the_launcher_stays_outside(tree):
    done = tree.sg.shell(tree.profile(), "cat /proc/1/environ /proc/*/environ; env", env={"SG_SECRET": "TOPSECRET"})
    assert "TOPSECRET" not in done.stdout + done.stderr


NASTY = ["\x1b[2J\x1b]0;title\x07", "line\nbreak: allowed", "\x9b31m", "a\u202eb", "\x1bP+q\x1b\\", "back\\slash", "\rshellguard: fine"]


@pytest.mark.parametrize("name", NASTY)
def test_names_are_shown_harmlessly(tree, name):
    profile, folder, _ = reading_profiles(tree)["deny-globs"]
    path = os.path.join(folder, name + ".key")
    with open(path, "w") as file:
        file.write(SECRET)
    tree.own(path)
    status, text, log = on_a_terminal(tree, profile, "/bin/sh", "-c", "exec 2>/dev/null; read x < \"$0\"; echo \"got $x\"", path)
    assert "TOPSECRET" not in text and "may not" in text, text
    assert not any(c in text for c in "\x1b\x07\x9b\u202e") and not any(w.startswith(("break:", "shellguard: fine"))
                                                                       for w in text.replace("\n", "\r").split("\r")), text
    with open(log, "rb") as file:
        records = [json.loads(line.decode("utf-8", "surrogatepass")) for line in file]
    assert [r for r in records if r["kind"] == "refusal" and r.get("object") == path]


def test_arguments_are_recorded_as_they_were(tree):
    words = NASTY + ["\udcff\udcfe", "", " ", '"}\n{"seq":1,"kind":"grant"}']
    done = tree.sg.run(tree.profile(), "/usr/bin/true", *words)
    assert done.of("exec")[-1]["process"]["argv"][1:] == words
    assert [r["seq"] for r in done.records] == list(range(1, len(done.records) + 1))


# --- the record, from inside ---

# {0}: the folder of the records, {1}: the home. Only ever run on folders of the test's own: what it does, it does for real
# when the record is not held out of reach.
TAMPER = ("for f in {0}/*; do cat \"$f\"; true > \"$f\"; echo forged >> \"$f\"; rm -f \"$f\"; done 2>/dev/null; "
          "rmdir {0} 2>/dev/null; mv {0} {1}/moved 2>/dev/null; cat {1}/moved/* 2>/dev/null; "
          "mkdir -p {0} 2>/dev/null; echo forged 2>/dev/null > {0}/forged.jsonl; echo mine > {1}/mine && cat {1}/mine")


@pytest.mark.parametrize("rename_above", [False, True])
def test_the_record_is_out_of_reach_where_its_folder_may_be_written(tree, rename_above):
    """The home may be written, and the user's state, where the records are, lies in it."""
    sg = tree.sg
    state = os.path.join(sg.home, "state")
    inside = os.path.join(state, "shellguard", "sessions")
    prefix = []
    if sg.who == "root":
        # Root's records are always in /var/log/shellguard: a folder of the test's own stands there, in a mount namespace of
        # its own, so that no real record is within reach whatever happens.
        os.makedirs(inside, mode=0o700)
        prefix = ["unshare", "-m", "/bin/sh", "-c", "mkdir -p /var/log/shellguard && mount --bind \"$0\" /var/log && "
                  "mkdir -p -m 700 /var/log/shellguard/sessions && exec \"$@\"", state]
    seen = "/var/log/shellguard/sessions" if sg.who == "root" else inside
    script = TAMPER.format(seen, sg.home)
    if rename_above:
        above = os.path.dirname(os.path.dirname(seen))
        script = ("mv {0}/shellguard {0}/other; cat {0}/other/sessions/*; rm -f {0}/other/sessions/*; mv {0} {0}2; "
                  "cat {0}2/shellguard/sessions/*; rm -f {0}2/shellguard/sessions/*; mkdir -p {0}; ").format(above) + script
    granted = '"/var/log/**", ' if sg.who == "root" else ""
    profile = tree.profile('ReadWrite = [%s"%s/**"]' % (granted, sg.home), flags=["links"])
    done = subprocess.run(sg.command(prefix + [sg.program, "run", "-p", sg.profile(profile), "--", "/bin/sh", "-c", script]),
                          env=sg.environment(), cwd=sg.cwd, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1:] == ["mine"], (done.stdout, done.stderr)
    assert "session-start" not in done.stdout
    logs = [os.path.join(f, n) for f, _, names in os.walk(sg.home) for n in names if n.endswith(".jsonl") and n != "forged.jsonl"]
    assert len(logs) == 1, logs
    with open(logs[0]) as file:
        records = [json.loads(line) for line in file]
    assert records[0]["kind"] == "session-start" and records[-1]["kind"] == "session-end"
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))


def test_a_record_is_not_put_where_the_world_may_write(tree):
    log = os.path.join(tree.rw, "record.jsonl")
    profile = tree.sg.profile(tree.profile('ReadWrite = ["%s/**"]' % tree.rw))
    done = tree.sg.cli("run", "--record", log, "-p", profile, "--", "/bin/sh", "-c", "echo forged > %s; cat %s" % (log, log))
    assert "session-start" not in done.stdout
    if done.returncode == 125:
        assert "record" in done.stderr
    else:
        with open(log) as file:
            assert "forged" not in file.read()


# --- the network ---

NETWORKS = ["none", "unix", "outgoing", "all"]


def networked(tree, kind):
    flags = {"none": [], "unix": ["unix"], "outgoing": ["outgoing", "dns"], "all": ["outgoing", "incoming", "unix", "dns"]}[kind]
    profile = tree.profile().replace('"/usr/**"', '"/usr/**", "%s/**"' % tree.ro, 1)
    return "[Networking]\nFlags = [%s]\n" % ", ".join('"%s"' % f for f in flags) + profile if flags else profile


@pytest.mark.parametrize("kind", NETWORKS)
def test_stray_families(tree, kind):
    held(tree.run(networked(tree, kind), "network", "families"), refused=23)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_server_on_the_loopback_of_the_host(tree, kind):
    """A loopback address is the world's own unless a rule names it: the host's server hears nothing."""
    server, server6 = socket.socket(), socket.socket(socket.AF_INET6)
    server.bind(("127.0.0.1", 0))
    port = server.getsockname()[1]
    try:
        server6.bind(("::1", port))
    except OSError:
        cannot("no IPv6 loopback")
    for s in (server, server6):
        s.listen(5)
        s.setblocking(False)
    held(tree.run(networked(tree, kind), "network", "inet", str(port)), refused=60)
    for s in (server, server6):
        with pytest.raises(BlockingIOError):
            s.accept()
        s.close()


def test_a_datagram_port_that_a_server_of_the_host_shares(tree):
    """`incoming` gives free ports: not what is sent to a server that lets others join its port (SO_REUSEADDR)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", 0))
        free.bind(("0.0.0.0", 0))
        ports = [str(s.getsockname()[1]) for s in (server, free)]
        free.close()
        held(tree.run(networked(tree, "all"), "network", "shared-ports", *ports), refused=4)


@pytest.mark.parametrize("kind", NETWORKS)
def test_unix_sockets_of_the_host(tree, kind):
    path, name = os.path.join(tree.ro, "socket"), "sg-escape-%d" % os.getpid()
    servers = []
    for address in (path, "\0" + name):
        servers.append(socket.socket(socket.AF_UNIX))
        servers[-1].bind(address)
        servers[-1].listen(5)
        servers[-1].setblocking(False)
    os.chmod(path, 0o777)
    held(tree.run(networked(tree, kind), "network", "unix", path, name), refused=35)
    for server in servers:
        with pytest.raises(BlockingIOError):
            server.accept()
        server.close()


# --- uid 0 inside ---

@pytest.mark.parametrize("sg", ["root"], indirect=True)
def test_root_of_a_world_is_nobody_on_the_host(tree):
    private = tree.sg.write("root-only", SECRET, mode=0o600, folder=tree.ro)
    os.symlink(private, os.path.join(tree.rw, "way"))
    os.symlink("/etc/hostname", os.path.join(tree.rw, "etc"))
    profile = tree.profile('ReadWrite = ["%s/**"]' % tree.rw).replace('"/usr/**"', '"/usr/**", "%s/**"' % tree.ro, 1)
    script = ("id -u; cat /etc/shadow {0}/root-only {1}/way; echo x >> {1}/way; echo x >> {1}/etc; echo x > {0}/new; "
              "chmod 666 {0}/root-only; echo mine > {1}/made; cat {1}/made").format(tree.ro, tree.rw)
    done = tree.sg.shell(profile, script)
    assert done.stdout == "0\nmine\n", (done.stdout, done.stderr)
    with open(private) as file:
        assert file.read() == SECRET and os.stat(private).st_mode & 0o777 == 0o600
    assert not os.path.exists(os.path.join(tree.ro, "new"))
    made = os.stat(os.path.join(tree.rw, "made"))
    assert (made.st_uid, made.st_gid, made.st_mode & 0o7000) == (0, 0, 0)


# --- who enters a running world ---

class Entered:
    """A running session of a profile, whose first command is a program of this suite that says "ready"."""

    def __init__(self, tree, profile, program, *arguments, env=None):
        self.tree, self.sg = tree, tree.sg
        self.process, self.log = tree.sg.start(profile, os.path.join(tree.programs, "escape_" + program), *arguments,
                                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        assert self.process.stdout.readline() == "ready\n", self.process.stderr.read()
        done = tree.sg.cli("ps", "--json")
        self.id = [s for s in map(json.loads, done.stdout.splitlines()) if s["pid"] == self.process.pid][0]["session"]

    def enter(self, *command, env=None):
        return subprocess.run(self.sg.command([self.sg.program, "enter", self.id, "--"] + list(command)), env=self.sg.environment(env),
                              cwd=self.sg.cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def finish(self):
        out, err = self.process.communicate(timeout=60 * LONGER)
        return out, err, self.process.returncode


@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize("how", ["files", "calls", "core", "stop"])
def test_a_world_that_lies_in_wait_for_who_enters(tree, how, decided):
    """Between its appearance and its first program, who enters is a copy of the keeper: nothing of it may be seen or taken."""
    deny = '\nDeny = ["%s/*.key"]' % tree.rw if decided else ""  # then every opening is carried out for the caller
    profile = tree.profile(extra="\n", runtime="debug", filesystem='ReadWrite = ["%s/**"]%s' % (tree.rw, deny))
    profile = profile.replace('"debug"', '"debug", "scheduling"') + 'Cwd = "%s"\n' % tree.rw
    if not decided:  # beside what is decided by name there are no cores: such a profile is refused
        profile += '[Runtime.Limits]\nCoreSize = "64MiB"\n'
    profile = profile.replace("\n\nCwd", "\nCwd")
    world = Entered(tree, profile, "entries", how, longer(3))
    deadline, worked, statuses = time.monotonic() + 2.2 * LONGER, 0, []
    while time.monotonic() < deadline:
        done = world.enter("/bin/true")
        if done.returncode == 1:  # it has ended by itself
            break
        statuses.append(done.returncode)
        worked += done.returncode == 0
    out, err, status = world.finish()
    assert status == 0 and "escaped" not in out, (out, err)
    numbers = {line.split()[1]: int(line.split()[2]) for line in out.splitlines() if line.startswith("saw ")}
    assert numbers["entering"] > 0, "the world never saw who enters: nothing was tried"
    if how in ("files", "calls"):
        assert numbers["denied"] > 0 and worked > 0, (numbers, statuses)
    assert set(statuses) <= {0, 125, 131, 134, 137, 139, 159}, statuses
    assert [n for n in os.listdir(tree.rw) if n.startswith("core")] == []


def test_who_has_entered_has_no_more_than_the_world(tree):
    world = Entered(tree, tree.profile(runtime="debug"), "entries", "files", "60")
    plain = Entered(tree, tree.profile(), "entries", "files", "60")
    inside = os.path.join(tree.programs, "escape_entries")
    done = plain.enter(inside, "inside")
    assert done.returncode == 0 and "escaped" not in done.stdout and "broken" not in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("refused ") == 5 and done.stdout.count("works ") == 1
    for program, arguments, refused in (("calls", ["never"], 70), ("calls", ["privileges"], 18)):
        done = plain.enter(os.path.join(tree.programs, "escape_" + program), *arguments)
        assert done.returncode == 0 and "escaped" not in done.stdout and "broken" not in done.stdout, done.stdout + done.stderr
        assert done.stdout.count("refused ") >= refused
    done = world.enter(os.path.join(tree.programs, "escape_processes"), "targets", str(os.getpid()))
    assert "escaped" not in done.stdout and done.stdout.count("refused ") > 10, done.stdout
    for session in (world, plain):
        session.sg.cli("stop", session.id)
        session.finish()


def test_a_world_that_may_trace_everything_is_not_entered(tree):
    profile = tree.profile() + '[Define.all]\nCapabilities = ["CAP_SYS_PTRACE"]\n'
    profile = profile.replace('"timers"]', '"timers", "all"]')
    world = Entered(tree, profile, "entries", "files", "3")
    done = world.enter("/bin/true")
    assert done.returncode == 125 and "CAP_SYS_PTRACE" in done.stderr
    assert world.finish()[2] == 0


def test_the_doors_are_in_no_world(tree):
    """A profile that gives the folder above the doors, and every unix socket: no session is listed, stopped or entered from inside."""
    other = Entered(tree, tree.profile(), "entries", "files", "60")
    folder = "/run/shellguard/sessions" if tree.sg.who == "root" else os.path.join(tree.sg.home, "state", "shellguard", "run")
    above = os.path.dirname(os.path.dirname(folder)) if tree.sg.who == "root" else tree.sg.home
    assert os.path.exists(os.path.join(folder, other.id))
    profile = tree.profile(filesystem='ReadWrite = ["%s/**"]' % above, flags=["outgoing", "unix"], extra='[Networking]\nAllow = ["unix:/**"]\n')
    profile += '[Misc]\nAcceptMissing = ["idmapped-mounts"]\n'  # for a tmpfs as root's /run: Linux 6.3
    profile = profile.replace('ReadOnly = ["/usr/**"', 'ReadOnly = ["%s/**", "/usr/**"' % tree.sg.prefix)
    profile = profile.replace('Exec = ["/usr/**"', 'Exec = ["%s/**", "/usr/**"' % tree.sg.prefix)
    knock = ("import os, socket, sys\nprint(os.listdir(sys.argv[1]) if os.path.isdir(sys.argv[1]) else [])\n"
             "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
             "try:\n s.connect(sys.argv[1] + '/' + sys.argv[2]); print('escaped')\nexcept OSError as e: print('refused', e.errno)\n")
    done = tree.sg.run(profile, "/usr/bin/python3", "-c", knock, folder, other.id)
    assert done.stdout.startswith("[]\nrefused "), done.stdout + done.stderr
    state = {"XDG_STATE_HOME": os.path.join(tree.sg.home, "state")}
    done = tree.sg.run(profile, "/bin/sh", "-c",
                       "XDG_STATE_HOME='%s' '%s' enter %s true; echo $?" % (state["XDG_STATE_HOME"], tree.sg.program, other.id))
    assert done.stdout.strip() != "0" and "running" in done.stderr, done.stdout + done.stderr
    assert other.process.poll() is None
    other.sg.cli("stop", other.id)
    other.finish()
