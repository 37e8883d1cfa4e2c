"""audit show, list and verify; syscalls; profiles."""
import json
import os
import re
import select
import subprocess
import time

import conftest
from conftest import BASE


def record(sg, script="cat /etc/hostname; true > /usr/made"):
    """A session in the folder of the sessions, as `audit list` has it."""
    done = sg.cli("run", "-p", sg.profile(BASE), "--", "/bin/sh", "-c", script + "; echo $SHELLGUARD_SESSION")
    sessions = {s["session"]: s for s in map(json.loads, sg.cli("audit", "list", "--json").stdout.splitlines())}
    return sessions[done.stdout.splitlines()[-1]]


def test_show(sg):
    session = record(sg)
    done = sg.cli("audit", "show", session["session"])
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and "session-start" in lines[0] and "session-end" in lines[-1]
    refused = [line for line in lines if line.split()[2] == "refusal"]
    assert len(refused) == 1 and "/usr/made" in refused[0] and "ReadOnly only" in refused[0]
    assert "\033" not in done.stdout  # no terminal, no colours
    as_json = [json.loads(line) for line in sg.cli("audit", "show", "--json", session["session"][:-1]).stdout.splitlines()]
    assert [r["seq"] for r in as_json] == list(range(1, len(lines) + 1))
    by_path = sg.cli("audit", "show", session["path"])
    assert by_path.stdout == done.stdout


def test_show_fits_a_terminal(sg):
    """A record goes on under its own beginning; what is there is the same, and a pipe gets a line for each record."""
    path = record(sg, "true > /usr/" + "/".join("a%d" % i for i in range(3)) + "; true > /usr/made")["path"]
    plain = sg.cli("audit", "show", path).stdout
    for columns, hang in ((80, 37), (50, 4)):
        with conftest.terminal.Terminal(sg.command([sg.program, "audit", "show", path]), sg.environment({"TERM": "vt100"}), sg.cwd,
                                        columns=columns) as shown:
            assert shown.wait() == 0
            assert "\033[31m" in shown.raw
            text = shown.text
        lines = text.rstrip("\n").split("\n")
        assert text.split() == plain.split()
        assert len(lines) > len(plain.splitlines()), text
        for line in lines:
            assert line.startswith(" " * hang) or line.split()[0].isdigit(), line
            assert len(line) <= columns or " " not in line[hang:].strip(), line


def test_last_session_is_the_default(sg):
    if sg.who == "root":
        # Root's sessions are those of the whole host: others may run meanwhile.
        assert record(sg)["session"] in sg.cli("audit", "list").stdout
        return
    ids = [record(sg)["session"] for _ in range(6)]  # ids sort by time to a second: several of these are of the same one
    last = ids[-1]
    assert '"session":"%s"' % last in sg.cli("audit", "show", "--json").stdout
    assert sg.cli("audit", "show", "--json", "last").stdout == sg.cli("audit", "show", "--json").stdout
    listed = sg.cli("audit", "list").stdout
    assert re.search(r"^%s +whole +\d+ +p\d+\.toml +/bin/sh -c cat " % last, listed, re.M), listed
    assert [line.split()[0] for line in listed.splitlines()] == ["SESSION"] + ids


def test_list_says_profiles_and_commands(sg):
    """Of each session what it was; bytes of the command that a terminal acts on are escaped, and a torn log is listed too."""
    profiles = [sg.profile('Name = "first"\n' + BASE), sg.profile('Name = "second"\n')]
    done = sg.cli("run", "-p", profiles[0], "-p", profiles[1], "--", "/bin/sh", "-c", "echo $SHELLGUARD_SESSION", "a b", "\033[2J\udcff")
    id_ = done.stdout.strip()
    line, = [line for line in sg.cli("audit", "list").stdout.splitlines() if line.startswith(id_)]
    assert re.search(r"whole +\d+ +first\+second +/bin/sh -c echo \$SHELLGUARD_SESSION a b \\e\[2J", line), line
    row, = [r for r in map(json.loads, sg.cli("audit", "list", "--json").stdout.splitlines()) if r["session"] == id_]
    assert row["profiles"] == ["first+second"] and row["command"][:2] == ["/bin/sh", "-c"] and row["command"][4][:4] == "\033[2J"
    assert row["path"].endswith(id_ + ".jsonl")
    torn = os.path.join(os.path.dirname(row["path"]), id_[:-6] + "00000a.jsonl")
    with open(torn, "w", encoding="utf-8") as f:
        f.write("{nonsense\n")
    if os.getuid() == 0:
        os.chown(torn, sg.uid, sg.uid)
    try:
        listed = sg.cli("audit", "list")
        assert listed.returncode == 0 and re.search(r"^%s00000a +cut +\d+ +\?" % id_[:-6], listed.stdout, re.M), listed.stdout
    finally:
        os.unlink(torn)


def test_follow_until_the_end(sg):
    process, log = sg.start(BASE, "/bin/sh", "-c", "read line; cat /etc/hostname >/dev/null; true > /usr/made", stdin=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (os.path.exists(log) and os.path.getsize(log) > 0) and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
    follower = subprocess.Popen(sg.command([sg.program, "audit", "show", "--follow", log]), env=sg.environment(), text=True,
                                stdout=subprocess.PIPE)
    assert "session-start" in follower.stdout.readline()
    state = sg.cli("audit", "verify", log)
    assert state.returncode == 0 and "running: " in state.stdout
    process.communicate(b"go\n", timeout=30)
    rest, _ = follower.communicate(timeout=30)
    assert "/usr/made" in rest and "session-end" in rest and follower.returncode == 0


def test_verify(sg):
    done = sg.shell(BASE, "cat /etc/hostname; true > /usr/made")
    whole = sg.cli("audit", "verify", done.log)
    assert whole.returncode == 0 and re.search(r": whole: %d records, the last one's hash is [0-9a-f]{64}$" % len(done.records),
                                               whole.stdout.strip())
    with open(done.log, "rb") as f:
        text = f.read()
    rows = [(text.replace(b"/usr/made", b"/usr/mode"), "altered: line"),
            (text[:text.rstrip(b"\n").rindex(b"\n") + 1], "cut: %d records in order, then no session-end" % (len(done.records) - 1)),
            (text[:-10], "cut: %d records in order, then a line that was not written to its end" % (len(done.records) - 1)),
            (b"".join(text.splitlines(True)[:1] + text.splitlines(True)[2:]), "altered: line 2"),
            (b"nonsense\n", "altered: line 1 is not a JSON object")]
    for data, message in rows:
        path = sg.write("altered.jsonl", "", folder=sg.work)
        with open(path, "wb") as f:
            f.write(data)
        bad = sg.cli("audit", "verify", path)
        assert bad.returncode == 1 and message in bad.stdout, (message, bad.stdout)


def test_usage(sg):
    rows = [(["audit"], 2, "usage: shellguard audit"), (["audit", "shwo"], 2, 'did you mean "show"?'),
            (["audit", "list", "x"], 2, "takes no SESSION"), (["audit", "show", "a", "b"], 2, "takes one SESSION"),
            (["audit", "verify", "--follow"], 2, "audit verify has no option --follow"),
            (["audit", "show", "--jsn"], 2, "did you mean --json?"), (["audit", "show", "/nowhere/x.jsonl"], 1, "/nowhere/x.jsonl"),
            (["syscalls", "a", "b"], 2, "usage: shellguard syscalls"), (["profiles", "x"], 2, "usage: shellguard profiles"),
            (["run", "--ro"], 125, "--ro takes a value: GLOB"), (["run", "--quiet=1"], 125, "--quiet takes no value"),
            (["run", "--json"], 125, "run has no option --json"), (["nothing"], 2, 'no command "nothing"'),
            (["exlain"], 2, 'did you mean "explain"?')]
    for arguments, status, message in rows:
        done = sg.cli(*arguments)
        assert done.returncode == status and message in done.stderr and done.stdout == "", (arguments, done)
    for command in ("run", "check", "explain", "why", "audit", "syscalls", "profiles"):
        done = sg.cli(command, "--help")
        assert done.returncode == 0 and done.stdout.startswith("usage: shellguard " + command) and "Exit status:" in done.stdout
        assert max(len(line) for line in done.stdout.splitlines()[1:]) <= 80
    top = sg.cli("--help").stdout
    assert "explain" in top and "_document" not in top


def test_syscalls(sg):
    table = sg.cli("syscalls").stdout.splitlines()
    assert len(table) > 350 and re.match(r" +0 +read +native +descriptors +read from a descriptor", table[1])
    rows = [json.loads(line) for line in sg.cli("syscalls", "--json").stdout.splitlines()]
    assert len(rows) == len(table) - 1
    for row in rows:  # every call is given by some flag, or says why not
        assert (row["class"] == "never") == ("reason" in row) and bool(row["flags"]) == (row["class"] != "never"), row
    one = sg.cli("syscalls", "openat").stdout
    assert "class      file-open" in one and "(the smallest: read)" in one and "dirfd, path, flags, mode" in one
    never = " ".join(sg.cli("syscalls", "unshare").stdout.split())
    assert "class never" in never and "why never" in never
    ioctl = " ".join(sg.cli("syscalls", "ioctl").stdout.split())
    assert re.search(r"TIOCSTI +never: types for whoever reads the terminal next", ioctl) and re.search(r'TCSETS +flag "tty"', ioctl)
    assert "in Linux it is madvise" in " ".join(sg.cli("syscalls", "minherit").stdout.split())
    assert "none like it" in " ".join(sg.cli("syscalls", "setugid").stdout.split())
    wrong = sg.cli("syscalls", "opne")
    assert wrong.returncode == 1 and 'did you mean "open"?' in wrong.stderr


def test_profiles(sg):
    folder = os.path.join(sg.home, ".config", "shellguard", "profiles")
    env = {"XDG_CONFIG_HOME": os.path.join(sg.home, ".config")}
    sg.write("mine.toml", 'Description = "Mine\\u001b[2J."\n', folder=folder)
    sg.write("broken.toml", "Description = [\n", folder=folder)
    sg.write("developer.toml", 'Description = "My own."\n', folder=folder)
    done = sg.cli("profiles", env=env)
    text = " ".join(done.stdout.split())
    assert done.returncode == 0 and "Mine\\e[2J." in text and "\033" not in done.stdout
    assert "broken (it has errors: shellguard check says which)" in text
    assert "developer My own." in text and text.count("developer.toml") == 1  # the user's own comes first
    rows = {r["name"]: r for r in map(json.loads, sg.cli("profiles", "--json", env=env).stdout.splitlines())}
    assert rows["developer"]["path"] == folder + "/developer.toml" and rows["broken"]["readable"] is False
    without = {r["name"]: r for r in map(json.loads, sg.cli("profiles", "--json").stdout.splitlines())}
    assert without["developer"]["path"].endswith("/share/shellguard/profiles/developer.toml")
