"""ps and stop: the running sessions of a user, and of nobody else."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import BASE


def start(sg, script="echo up; trap 'exit 3' TERM; while :; do sleep 0.05; done"):
    process, _ = sg.start(BASE, "/bin/sh", "-c", script, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    return process


def sessions(sg):
    done = sg.cli("ps", "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def mine(sg, process):
    """The session of this test: others may be running."""
    return [s for s in sessions(sg) if s["command"][:2] == ["/bin/sh", "-c"] and s["pid"] == process.pid]


def test_listed_while_it_runs(sg):
    process = start(sg)
    found = mine(sg, process)
    assert len(found) == 1
    table = sg.cli("ps").stdout
    assert found[0]["session"] in table and "/bin/sh -c" in table
    assert sg.cli("stop", found[0]["session"]).returncode == 0
    assert process.wait(timeout=30) == 3
    assert mine(sg, process) == []


# Opens that are decided, one after the other, until the supervisor waits for the next; then one kind of call, in a rhythm.
RHYTHM = """import ctypes, os, sys, time
call = {"open": lambda: os.close(os.open("/usr/bin/env", os.O_RDONLY)), "refused": lambda: ctypes.CDLL(None).syscall(167, 0, 0),
        "stat": lambda: os.path.exists("/usr/bin/nothing")}[sys.argv[1]]
for i in range(200):
    os.close(os.open("/usr/bin/env", os.O_RDONLY))
for i in range(13):
    call()
print("up", flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    call()
    time.sleep(float(sys.argv[2]))
"""
DECIDED = BASE.replace("[Runtime]", 'Deny = ["/usr/**/nothing.*"]\n[Runtime]')


@pytest.mark.parametrize("pause", ["0.025", "0.013", "0"])
@pytest.mark.parametrize("what", ["open", "refused", "stat"])
def test_a_world_does_not_keep_its_supervisor_busy(sg, what, pause):
    """Whatever it calls, in whatever rhythm: it is listed, and stopped, at once."""
    path = sg.write("rhythm.py", RHYTHM)
    arguments = ["learn"] if what == "stat" else ["run", "-p", sg.profile(DECIDED), "--ro", path]
    process = subprocess.Popen(sg.command([sg.program] + arguments + ["--", "/usr/bin/python3", path, what, pause]), cwd=sg.cwd, env=sg.environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == b"up\n"
    for _ in range(5):
        begin = time.monotonic()
        found = [s for s in sessions(sg) if path in s["command"]]
        assert len(found) == 1 and time.monotonic() - begin < 1.5, time.monotonic() - begin
    begin = time.monotonic()
    assert sg.cli("stop", found[0]["session"]).returncode == 0
    process.communicate(timeout=30)
    assert time.monotonic() - begin < 3


def test_columns_stand_under_each_other(sg):
    """However long the names of profiles are."""
    names = ["short", "a-name-that-is-longer-than-its-heading"]
    processes = [sg.start('Name = "%s"\n' % name + BASE, "/bin/sh", "-c", "echo up; read line", stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE)[0] for name in names]
    for process in processes:
        assert process.stdout.readline() == b"up\n"
    table = sg.cli("ps").stdout.splitlines()
    rows = [line for line in table if "  /bin/sh -c" in line and any(" %s " % name in line for name in names)]
    assert len(rows) == 2, table
    assert {line.index("/bin/sh -c") for line in rows} == {table[0].index("COMMAND")}, table
    for process in processes:
        process.communicate(b"\n", timeout=30)


def test_an_unknown_name_is_answered_with_those_that_there_are(sg):
    process = sg.start('Name = "the-web-server"\n' + BASE, "/bin/sh", "-c", "echo up; read line", stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE)[0]
    assert process.stdout.readline() == b"up\n"
    id_ = mine(sg, process)[0]["session"]
    for command in ("stop", "enter"):
        done = sg.cli(command, "the-wb-server")
        assert done.returncode == 1 and 'no running session "the-wb-server"' in done.stderr and done.stdout == "", done
        rows = done.stderr.splitlines()[1:]
        assert rows[0].split() == ["SESSION", "PID", "PROFILE", "COMMAND"] and len(rows) <= 10
        if sg.who == "user":  # root's are those of the whole host: others may run meanwhile
            assert any(re.match(r"%s +%d +the-web-server +/bin/sh -c echo up" % (id_, process.pid), row) for row in rows), rows
    process.communicate(b"\n", timeout=30)


def test_stop_ends_what_does_not_listen(sg):
    process = start(sg, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    assert sg.cli("stop", mine(sg, process)[0]["session"]).returncode == 0
    assert process.wait(timeout=30) == 137


def test_an_end_in_the_middle_of_executions(sg):
    """Threads that are traced on their way through execve must not keep the world alive."""
    for _ in range(5):
        process = start(sg, "echo up; for i in 1 2 3 4; do while :; do /bin/true; done & done; wait")
        subprocess.run(["pkill", "-KILL", "-f", "-o", process.args[process.args.index("--record") + 1]], check=True)
        process.wait(timeout=30)


def test_unknown_and_wrong_usage(sg):
    done = sg.cli("stop", "no-such-session")
    assert done.returncode == 1 and "shellguard ps" in done.stderr
    for arguments, told in ((["stop"], "usage: shellguard stop"), (["stop", "a", "b"], "one SESSION, not also \"b\""),
                            (["stop", "--netwrk", "a"], "did you mean --network?"), (["stop", "--keep", "tcp:10.0.0.1:1", "a"], "--keep goes with --network"),
                            (["stop", "--network", "--keep", "foo", "a"], "--keep foo: a pattern is PROTOCOL"),
                            (["stop", "--network", "--keep", "tcp:example.org:1", "a"], "only IP addresses"),
                            (["ps", "--wrong"], "ps has no option --wrong"), (["ps", "x"], "usage: shellguard ps")):
        done = sg.cli(*arguments)
        assert done.returncode == 2 and told in done.stderr and len(done.stderr.splitlines()) <= 2 and done.stdout == "", done
    assert "--json" in sg.cli("ps", "--help").stdout and sg.cli("stop", "-h").returncode == 0


def test_the_door_is_not_in_the_world(sg):
    process = start(sg)
    session = mine(sg, process)[0]["session"]
    seen = sg.shell(BASE, "find / -name '%s*' 2>/dev/null" % session)
    assert session not in seen.stdout
    sg.cli("stop", session)
    process.wait(timeout=30)


def test_a_door_with_nobody_behind_it_goes(sg):
    process = start(sg)
    subprocess.run(["pkill", "-KILL", "-f", process.args[process.args.index("--record") + 1]], check=True)
    process.wait(timeout=30)
    assert mine(sg, process) == []
    folder = "/run/shellguard/sessions" if sg.who == "root" else os.path.join(sg.home, "state", "shellguard", "run")
    before = set(os.listdir(folder))
    sessions(sg)
    assert set(os.listdir(folder)) <= before


def test_sessions_that_do_not_answer(sg):
    """Their doors are asked with the others, in one time for all: they are named, and hold up nobody. (Keepers stand in: see test_liveness.py.)"""
    processes = [start(sg) for _ in range(4)]
    ids = [mine(sg, p)[0]["session"] for p in processes]
    supervisors = [int(subprocess.run(["pgrep", "-P", str(p.pid)], capture_output=True, text=True, check=True).stdout.split()[0])
                   for p in processes]
    if sg.who == "user" and os.getuid() == 0:  # setpriv is executed over, so the front end is the child here too
        assert all(open("/proc/%d/comm" % s, encoding="ascii").read() != "setpriv" for s in supervisors)
    stopped = []
    try:
        for supervisor in supervisors[:3]:
            keepers = subprocess.run(["pgrep", "-P", str(supervisor), "sg-keeper"], capture_output=True, text=True, check=True).stdout.split()
            stopped += [int(keeper) for keeper in keepers] + [supervisor]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        done = sg.cli("ps", "--json")
        took = time.monotonic() - began
        assert done.returncode == 0 and took < 4, took  # two seconds for all, not for each
        listed = {json.loads(line)["session"] for line in done.stdout.splitlines()}
        assert ids[3] in listed and not set(ids[:3]) & listed
        for silent in ids[:3]:
            assert "the session %s does not answer" % silent in done.stderr
        for command in (["stop", ids[0]], ["enter", ids[0], "--", "true"]):
            done = sg.cli(*command)
            assert done.returncode == 125 and "the session %s does not answer" % ids[0] in done.stderr and len(done.stderr.splitlines()) == 1
        began = time.monotonic()
        done = sg.cli("enter", ids[3], "--", "/bin/echo", "entered")
        assert (done.returncode, done.stdout) == (0, "entered\n") and time.monotonic() - began < 4
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert set(ids) <= {s["session"] for s in sessions(sg)}
    for id_, process in zip(ids, processes):
        assert sg.cli("stop", id_).returncode == 0 and process.wait(timeout=30) == 3
