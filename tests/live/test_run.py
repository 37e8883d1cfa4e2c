"""The first promises of `run`: exit status, streams, the dead world, and its end."""
import os
import select
import signal
import subprocess
import time

from conftest import BASE


def gone(pattern, seconds=20):
    """True once no process has that command line; the wait has an end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if subprocess.run(["pgrep", "-f", pattern], capture_output=True).returncode != 0:
            return True
        select.select([], [], [], 0.01)
    return False


def test_exit_status(sg):
    rows = [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("true", 0), ("exit 255", 255)]
    for script, status in rows:
        assert sg.shell(BASE, script).status == status, script


def test_exit_status_of_quick_commands(sg):
    """The keeper must not lose the status of a command that ends before the keeper has looked up."""
    for _ in range(60):
        assert sg.run(BASE, "/bin/sh", "-c", "exit 255").status == 255


def test_not_found_and_not_executable(sg):
    missing = sg.run(BASE, "no-such-program")
    assert missing.status == 127 and missing.stderr == "shellguard: no-such-program: not found in this world, in no folder of its PATH\n"
    path = sg.run(BASE, "/no/such/program")
    assert path.status == 127 and "shellguard: /no/such/program: not found in this world" in path.stderr
    own = sg.run(BASE, "/bin/sh", "-c", "exit 127")
    assert own.status == 127 and own.stderr == ""
    refused = sg.run(BASE, "/etc/passwd")
    assert refused.status == 126 and "shellguard: /etc/passwd may not be executed in this world" in refused.stderr
    assert refused.refusals("/etc/passwd")[0]["operation"] == "execute"


def test_streams(sg):
    done = sg.run(BASE, "/usr/bin/cat", stdin=b"hello\n" * 1000)
    assert done.stdout == "hello\n" * 1000 and done.status == 0
    both = sg.shell(BASE, "echo out; echo err >&2")
    assert (both.stdout, both.stderr) == ("out\n", "err\n")


def test_nothing_else_exists(sg):
    seen = sg.shell(BASE, "ls -a /; ls /home /root /srv /var/lib 2>&1; cat %s/record1.jsonl" % sg.work)
    assert "record1" not in seen.stdout
    for name in ("home", "root", "srv", "boot", "work"):
        assert name not in seen.stdout.splitlines(), name


def test_no_mount_of_the_host_is_left(sg):
    """Below its root, in the kernel's own list: a root of the host under the world's is shown by no look-up."""
    mounts = [line.split() for line in sg.shell(BASE, "cat /proc/self/mountinfo").stdout.splitlines()]
    known = {mount[0] for mount in mounts}
    assert [mount[4] for mount in mounts if mount[1] not in known] == ["/"]
    assert [mount[4] for mount in mounts].count("/") == 1
    own = ("/dev/", "/etc", "/proc", "/usr", "/bin", "/sbin", "/lib", "/sys/devices/system/cpu/", "/var/tmp", "/tmp")
    assert not [mount[4] for mount in mounts if mount[4] != "/" and not mount[4].startswith(own)]


def test_read_only(sg):
    done = sg.shell(BASE, "echo x > /usr/made; echo x > /etc/made; mkdir /made; echo x > /tmp/made && cat /tmp/made")
    assert done.stdout == "x\n"
    assert not os.path.exists("/usr/made") and not os.path.exists("/etc/made") and not os.path.exists("/tmp/made")
    assert done.stderr.count("Read-only file system") == 3


def test_writable_folder(sg):
    profile = BASE + '[Define.w]\nReadWrite = ["%s/**"]\n' % sg.cwd
    profile = profile.replace('Flags = ["tmp"]', 'Flags = ["tmp", "w"]')
    done = sg.shell(profile, "umask 027; echo data > made; cat made; pwd")
    assert done.stdout == "data\n%s\n" % sg.cwd
    status = os.stat(os.path.join(sg.cwd, "made"))
    assert (status.st_uid, status.st_mode & 0o777) == (sg.uid, 0o640)


def test_no_privilege(sg):
    done = sg.shell(BASE, "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")
    fields = dict(line.split(":\t") for line in done.stdout.splitlines())
    assert all(int(v, 16) == 0 for k, v in fields.items() if k.startswith("Cap"))
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"


def test_takes_everything_along(sg):
    marker = "3%07d" % (os.getpid() % 10000000)
    sg.shell(BASE, "setsid sleep %s & (setsid sh -c 'sleep %s &') ; exit 0" % (marker, marker))
    # The program itself; the session's own processes have the script in their arguments and may still be syncing the log.
    left = subprocess.run(["pgrep", "-f", "^sleep " + marker], capture_output=True, text=True).stdout
    assert left == ""


def test_killed_front_end(sg):
    marker = "4%07d" % (os.getpid() % 10000000)
    process, log = sg.start(BASE, "/bin/sh", "-c", "echo up; sleep %s" % marker, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    subprocess.run(["pkill", "-KILL", "-f", "shellguard run --record " + log], check=True)
    process.wait(timeout=30)
    assert gone("sleep " + marker)


def test_signals_reach_the_command(sg):
    process, _ = sg.start(BASE, "/bin/sh", "-c", "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.05; done",
                          stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM) if sg.who == "root" or os.getuid() != 0 else subprocess.run(
        ["pkill", "-TERM", "-f", "shellguard run --record " + process.args[process.args.index("--record") + 1]], check=True)
    out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == (b"got\n", 5)


def test_environment(sg):
    env = {"TERM": "xterm", "AWS_SECRET_ACCESS_KEY": "s", "GITHUB_TOKEN": "t", "SSH_AUTH_SOCK": "/x", "DISPLAY": ":0",
           "DBUS_SESSION_BUS_ADDRESS": "unix:/x", "LC_ALL": "C.UTF-8", "MINE": "m"}
    out = sg.run(BASE, "/usr/bin/env", env=env).stdout
    assert "TERM=xterm\n" in out and "LC_ALL=C.UTF-8\n" in out and "SHELLGUARD_SESSION=" in out
    for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "MINE"):
        assert name not in out
    assert "MINE=m\n" in sg.run(BASE, "/usr/bin/env", env=env, options=["--env", "MINE"]).stdout
    assert "MINE=x\n" in sg.run(BASE, "/usr/bin/env", env=env, options=["--env", "MINE=x"]).stdout


def test_record(sg):
    done = sg.shell(BASE, "/usr/bin/env true one 'two words'; exit 3")
    kinds = [r["kind"] for r in done.records]
    assert kinds[0] == "session-start" and kinds[-1] == "session-end"
    assert done.records[-1]["exit_status"] == 3
    assert [r["seq"] for r in done.records] == list(range(1, len(kinds) + 1))
    executed = done.of("exec")
    assert executed[0]["process"]["argv"][:2] == ["/bin/sh", "-c"]
    assert ["/usr/bin/env", "true", "one", "two words"] in [r["process"]["argv"] for r in executed]
    assert ["true", "one", "two words"] in [r["process"]["argv"] for r in executed]
    mode = os.stat(done.log).st_mode & 0o777
    assert mode == 0o600


def test_empty_profile_allows_nothing(sg):
    done = sg.run("\n", "/bin/true")
    assert done.status == 125 and "start" in done.stderr and done.records == []


def test_labels_are_never_ignored(sg):
    done = sg.run(BASE + '[Label.secret]\nSecret = true\nFiles = ["/srv/x/**"]\n', "/bin/true")
    assert done.status == 125 and "[Label]" in done.stderr
    for section, text in (("[Label]", "[Label.a]\nSecret = true\n"), ("[Label]", "[Label.a]\n[Label.b]\n[Walls]\nNever = [['a', 'b']]\n"),
                          ("[Privileged]", "[Privileged]\nFlags = ['ping']\n")):
        checked = sg.cli("check", sg.profile(BASE + text))
        assert checked.returncode == 3 and "no errors" in checked.stdout, checked
        assert 'in this folder "run" would refuse it: ' in checked.stderr and section in checked.stderr


def test_all_variables_are_kept(sg):
    """However many a profile sets; a later value of one name replaces the one that passes, and none is there twice."""
    many = ", ".join('"V%d=%d"' % (i, i) for i in range(2000))
    done = sg.run(BASE.replace("[Runtime]", '[Runtime]\nEnv = ["TERM=mine", "LC_ALL", %s]' % many), "/usr/bin/env", "-0",
                  env={"TERM": "dumb", "LC_ALL": "C"})
    assert done.status == 0, done.stderr
    entries = [entry.split("=", 1) for entry in done.stdout.split("\0")[:-1]]
    seen = dict(entries)
    assert len(seen) == len(entries)
    assert {"V%d" % i: str(i) for i in range(2000)}.items() <= seen.items()
    assert seen["TERM"] == "mine" and seen["LC_ALL"] == "C" and seen["SHELLGUARD_SESSION"] and seen["PATH"] and seen["PS1"]
