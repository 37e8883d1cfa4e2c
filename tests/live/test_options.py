"""The options of `run`: each is one line of a profile. And what a person is told who got something wrong."""
import json
import os
import re
import subprocess

import pytest

from conftest import BASE, cannot

# Options, and the line that each is.
LINES = [
    (["--ro", "/srv/a b/**"], '[Filesystem]\nReadOnly = ["/srv/a b/**"]\n'),
    (["--rw", "/srv/x/**"], '[Filesystem]\nReadWrite = ["/srv/x/**"]\n'),
    (["--exec", "/opt/x/*"], '[Filesystem]\nExec = ["/opt/x/*"]\n'),
    (["--deny", "/etc/*.key"], '[Filesystem]\nDeny = ["/etc/*.key"]\n'),
    (["--allow", "tcp:example.org:443", "--allow", "unix:/run/x"], '[Networking]\nAllow = ["tcp:example.org:443", "unix:/run/x"]\n'),
    (["--listen", "tcp:127.0.0.1:8000-8999"], '[Networking]\nListen = ["tcp:127.0.0.1:8000-8999"]\n'),
    (["--no-net"], '[Networking]\nDeny = ["*:*:*"]\n'),
    (["--env", "A=b c", "--env", "B"], '[Runtime]\nEnv = ["A=b c", "B"]\n'),
    (["--cwd", "/tmp"], '[Runtime]\nCwd = "/tmp"\n'),
    (["--limit", "Processes=9", "--limit", "CpuTime=1h"], '[Runtime]\nLimits = { Processes = 9, CpuTime = "1h" }\n'),
    (["--name", "mine"], 'Name = "mine"\n'),
    (["--flag", "dns"], '[Networking]\nFlags = ["dns"]\n'),
]


def policy_hash(sg, *arguments):
    done = sg.cli("explain", *arguments)
    assert done.returncode == 0, done.stderr
    return re.search(r"hash is (\w+)", done.stdout).group(1)


@pytest.mark.parametrize("options,lines", LINES, ids=[o[0] for o, _ in LINES])
def test_an_option_is_a_line(sg, options, lines):
    toml = sg.cli("explain", "--toml", *options)
    assert toml.returncode == 0 and lines in toml.stdout, toml.stdout + toml.stderr
    base, same = sg.profile(BASE), sg.profile(lines)
    both, plain = policy_hash(sg, base, *options), policy_hash(sg, base)
    assert both == policy_hash(sg, base, same) and (both != plain or options[0] == "--name")
    done = sg.run(base, "/usr/bin/true", options=options)
    assert done.status == 0 and done.records[0]["policy"]["hash"].startswith(both), done.stderr


def test_what_the_options_do(sg):
    sg.write("kept", "kept\n")
    here = ["--rw", sg.cwd + "/**"]
    assert sg.shell(BASE, "echo x > made; cat made", options=here).stdout == "x\n"
    assert sg.shell(BASE, "cat %s/kept" % sg.cwd).stdout == ""
    assert sg.shell(BASE, "cat %s/kept; echo x > %s/kept" % (sg.cwd, sg.cwd), options=["--ro", sg.cwd + "/**"]).stdout == "kept\n"
    denied = sg.shell(BASE, "cat kept", options=here + ["--deny", sg.cwd + "/kept"])
    assert denied.stdout == "" and denied.refusals(os.path.join(sg.cwd, "kept"))[0]["rule"]["file"] == "command line"
    assert sg.shell(BASE, "pwd", options=["--cwd", "/tmp"]).stdout == "/tmp\n"
    assert sg.shell(BASE, "echo $A-$B", options=["--env", "A=x y", "--env", "B"], env={"B": "passed"}).stdout == "x y-passed\n"
    assert sg.shell(BASE, "ulimit -n", options=["--limit", "OpenFiles=77"]).stdout == "77\n"


def test_dry_run_starts_nothing(sg):
    log = os.path.join(sg.work, "dry.jsonl")
    done = sg.cli("run", "--dry-run", "--record", log, "-p", sg.profile(BASE), "--", "/bin/sh", "-c", "echo ran > %s/ran" % sg.cwd)
    assert done.returncode == 0 and done.stdout == "" and os.listdir(sg.cwd) == [] and not os.path.exists(log)
    assert sg.cli("run", "--dry-run", "-p", sg.profile("[Oops]\n"), "--", "/bin/true").returncode == 125


def test_where_a_profile_is_looked_up(sg):
    """A path; then the user's own folder, then the installed ones: the first that has the name."""
    config = os.path.join(sg.home, "config")
    env = {"XDG_CONFIG_HOME": config}
    sg.write("p.toml", 'Description = "by path"\n')
    assert "by path" in sg.cli("explain", "./p.toml", env=env).stdout
    missing = sg.cli("explain", "p", env=env)
    assert missing.returncode != 0 and "./p" in missing.stderr and "shellguard profiles" in missing.stderr
    assert "the user's" not in sg.cli("explain", "offline", env=env).stdout
    sg.write("shellguard/profiles/offline.toml", 'Description = "the user\'s"\n', folder=config)
    assert "the user's" in sg.cli("explain", "offline", env=env).stdout
    assert "the user's" not in sg.cli("explain", "offline").stdout
    sg.write("shellguard/profiles/broken.toml", "[Nothing]\n", folder=config)
    broken = sg.cli("run", "-p", "broken", "--", "/bin/true", env=env)
    assert broken.returncode == 125 and os.path.join(config, "shellguard/profiles/broken.toml") + ":1:2" in broken.stderr


def test_the_system_s_folder_comes_between(sg):
    if os.getuid() != 0:
        cannot("this needs a mount namespace of root's")
    folder = os.path.join(sg.work, "etc")
    sg.write("profiles/offline.toml", 'Description = "the system\'s"\n', folder=folder)
    config = os.path.join(sg.home, "config")
    command = ["unshare", "-m", "/bin/sh", "-c", "mkdir -p /etc/shellguard && mount --bind \"$0\" /etc/shellguard && exec \"$@\"", folder]

    def explain(env):
        return subprocess.run(command + sg.command([sg.program, "explain", "offline"]), env=sg.environment(env), cwd=sg.cwd,
                              capture_output=True, text=True).stdout

    existed = os.path.isdir("/etc/shellguard")
    try:
        assert "the system's" in explain({})
        sg.write("shellguard/profiles/offline.toml", 'Description = "the user\'s"\n', folder=config)
        assert "the user's" in explain({"XDG_CONFIG_HOME": config})
    finally:
        if not existed:
            os.rmdir("/etc/shellguard")


def test_not_everything_is_the_working_directory(sg):
    home = subprocess.run(sg.command(["/usr/bin/python3", "-c", "import os, pwd; print(pwd.getpwuid(os.getuid()).pw_dir)"]),
                          capture_output=True, text=True).stdout.strip()
    places = [("/", "root of the file system")] + ([(home, "home folder")] if os.path.isdir(home) else [])
    for place, why in places:
        done = subprocess.run(sg.command([sg.program, "run", "-p", sg.profile(BASE), "--rw", "${CWD}/**", "--", "/bin/true"]),
                              env=sg.environment(), cwd=place, capture_output=True, text=True)
        assert done.returncode == 125 and why in done.stderr and "mkdir work && cd work" in done.stderr, done.stderr
        # ... and nothing else: what a profile says of the home lies in what was refused
        shipped = subprocess.run(sg.command([sg.program, "run", "-p", "developer", "--", "/bin/true"]), env=sg.environment(), cwd=place,
                                 capture_output=True, text=True)
        assert shipped.returncode == 125 and why in shipped.stderr and shipped.stderr.count(": error: ") == 1, shipped.stderr


BROKEN = """Nmae = "x"
[Filesystem]
ReadOnly = ["usr/**", "/a/{b", "/a/[!x]", "${FOO}/x", "/x\\u0000"]
ReadWrite = "/tmp"
Flags = ["dns"]
[Networking]
Allow = ["github.com:443", "tcp:10.0.0.0/33:1", "tcp:x:99999"]
[Runtime]
Limits = { Procesess = 5, Memory = "2GX" }
Env = ["A B=1"]
Cwd = "rel"
Flags = ["dsn"]
[Misc]
AcceptMissing = ["cgroup-memry"]
DenySyscalls = ["opne"]
[Walls]
Never = [["a", "b"]]
[Define.unused]
Syscalls = ["raed"]
Capabilities = ["CAP_SYS_ADMN"]
"""
SAID = [(1, 1, 'unknown key "Nmae"', 'did you mean "Name"?'), (3, 13, '"usr/**" is not an absolute name', "begin it with /"),
        (3, 27, '"{" is never closed', ""), (3, 36, "negated", "[^x]"), (3, 43, "unknown variable", "${CWD}"),
        (3, 55, "NUL", ""), (4, 13, "takes an array", "in brackets"), (5, 10, "belongs in [Networking]", "under [Networking]"),
        (7, 11, "protocol is tcp", ""), (7, 33, "prefix length", ""), (7, 56, "highest port", ""),
        (9, 12, 'unknown limit "Procesess"', 'did you mean "Processes"?'), (9, 36, "limit Memory", "512MiB"),
        (10, 8, "names no environment variable", "NAME=value"), (11, 7, "not an absolute name", ""), (12, 10, 'unknown flag "dsn"', '"dns"'),
        (14, 18, "there is no feature", '"cgroup-memory"'), (15, 17, "no system call", '"open"'), (17, 11, "no label", "[Label.NAME]"),
        (19, 13, "no system call", '"read"'), (20, 17, "no capability", '"CAP_SYS_ADMIN"')]


def test_every_error_in_one_go(sg):
    """Errors of the schema, of globs and addresses, of flags nothing uses: each with its place, its line and a suggestion."""
    path = sg.profile(BROKEN)
    piece = sg.cli("check", sg.profile('[Filesystem]\nReadOnly = ["/etc/**"]\n'))
    assert piece.returncode == 0 and 'that takes Flags = ["start"] under [Runtime], and an Exec rule' in piece.stdout
    for lines, told in (('Exec = ["/usr/**"]\n', 'that takes Flags = ["start"] under [Runtime]. '),
                        ('[Runtime]\nFlags = ["start"]\n', "that takes an Exec rule under [Filesystem]. ")):
        piece = sg.cli("check", sg.profile("[Filesystem]\n" + lines))
        assert piece.returncode == 0 and told in piece.stdout, piece.stdout
    assert sg.cli("check", sg.profile(BASE)).stdout.count("\n") == 1
    done = sg.cli("check", path)
    assert done.returncode == 1 and done.stdout == ""
    parts = {tuple(int(n) for n in m.groups()[:2]): m.group(3) for m in
             re.finditer(r"^%s:(\d+):(\d+): error: (.*?)(?=^/|\Z)" % re.escape(path), done.stderr, re.M | re.S)}
    for line, column, text, hint in SAID:
        said = parts.get((line, column), "")
        assert text in said and hint in said and "\n%5d | " % line in "\n" + said.split("\n", 1)[-1], ((line, column), said, sorted(parts))
        assert "^" in said
    assert len(parts) >= len(SAID)
    run = sg.cli("run", "-p", path, "--", "/bin/true")
    assert run.returncode == 125 and run.stderr.count(": error: ") == done.stderr.count(": error: ")


def test_check_says_what_connects_to_nothing(sg):
    """Addresses that are allowed without a flag that gives sockets: no error, since others may extend it, and said."""
    said = "need a flag that gives sockets"
    for key in ("Allow", "Listen"):
        rule = '%s = ["tcp:127.0.0.1:5433"]\n' % key
        bare = sg.cli("check", sg.profile(BASE + "[Networking]\n" + rule))
        assert bare.returncode == 0 and said in bare.stdout, bare
        for flag in ("loopback", "dns"):
            whole = sg.cli("check", sg.profile(BASE + '[Networking]\nFlags = ["%s"]\n' % flag + rule))
            assert whole.returncode == 0 and said not in whole.stdout, whole
    assert said not in sg.cli("check", sg.profile(BASE)).stdout


def test_a_file_of_this_folder_is_suggested(sg):
    """A name stands for no file of this folder; who meant one is told its whole name."""
    sg.write("web.toml", BASE)
    for command in (["check", "web"], ["run", "-p", "web", "--", "/bin/true"]):
        done = sg.cli(*command)
        assert done.returncode in (1, 125) and "did you mean the file ./web.toml?" in done.stderr, done
    sg.write("other.toml", 'Extends = ["web"]\n')
    assert "web.toml" not in sg.cli("check", "other.toml").stderr


WRONG = [
    (["--limit", "Processes"], "--limit takes NAME=VALUE"), (["--limit", "Foo=3"], "the limits are Processes"), (["--allow", "xx"], '"tcp:xx:443"'),
    (["--cwd", "rel"], "not an absolute name"), (["--cwd", "/no/such"], "/no/such"), (["--env", "A B"], "names no environment variable"),
    (["--name", ""], "empty value"), (["--record", "/"], "/"), (["--record", "/no/such/x"], "/no/such"), (["--recrod", "x"], "did you mean --record?"),
    (["--no-net=3"], "takes no value"), (["-p", "nosuch"], 'there is no profile "nosuch" ('),
    (["-p", "develper"], 'there is no profile "develper"; did you mean "developer"?'), (["-p", "/tmp"], "not a regular file"),
    (["--flag", "dsn"], 'did you mean "dns"?'), (["--ro", "x"], "not an absolute name"), (["-z"], "no option -z"),
]


@pytest.mark.parametrize("options,text", WRONG, ids=[" ".join(o) for o, _ in WRONG])
def test_wrong_options(sg, options, text):
    """Our own failure is 125; it says what is wrong; nothing starts."""
    done = sg.cli("run", "-p", sg.profile(BASE), *options, "--", "/bin/echo", "ran")
    assert done.returncode == 125 and text in done.stderr and done.stdout == "", done


def test_notices_stay_out_of_the_streams(sg):
    """Without a terminal a notice is no part of what the program writes; with --quiet there is none; the record has all."""
    script = "echo out; cat %s/never; cat /nope; echo err >&2"
    profile = BASE.replace("[Runtime]", 'ReadWrite = ["%s/**"]\nDeny = ["%s/never"]\n[Runtime]' % (sg.cwd, sg.cwd))
    sg.write("never", "x")
    for options in ([], ["--quiet"]):
        done = sg.shell(profile, script % sg.cwd, options=options)
        assert done.stdout == "out\n" and "err\n" in done.stderr and len(done.refusals(os.path.join(sg.cwd, "never"))) == 1
        assert "shellguard:" not in done.stderr or options == []
        if options:
            assert done.stderr.count("\n") == 3, done.stderr


def test_doctor_speaks_json(sg):
    report = json.loads(sg.cli("doctor", "--json").stdout)
    assert report["can_run"] is True and report["hint"] is None and {"name", "state", "effect", "remedy", "without"} <= set(report["features"][0])
