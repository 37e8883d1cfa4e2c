"""explain: what a person reads is what the profile means."""
import fcntl
import os
import re
import struct
import subprocess
import termios

from conftest import BASE


def words(text):
    return " ".join(text.split())


def explain_named(sg, name, *options):
    done = sg.cli("explain", name, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def explain(sg, profile, *options):
    done = sg.cli("explain", sg.profile(profile), *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def whole(sg, profile):
    return explain(sg, profile, "--long")


PROFILE = """Description = "Measures."
[Filesystem]
Flags = ["tmp"]
ReadOnly = ["/usr/**", "/etc/**", "/var/lib/*.db"]
ReadWrite = ["%s/**", "/etc/hostname"]
Exec = ["/usr/bin/*"]
Deny = ["/etc/shadow"]
LogOnWrite = ["/etc/**"]
[Networking]
Flags = ["dns"]
Allow = ["tcp:example.org:443", "tcp:10.0.0.0/8:5432"]
Deny = ["tcp:10.1.2.3:*"]
[Runtime]
Flags = ["start", "malloc"]
Limits = { Processes = 64, Memory = "2GiB", CpuTime = "1h" }
Env = ["MODE=test"]
Cwd = "/tmp"
[Misc]
DenySyscalls = ["ptrace"]
"""


def test_plain_words(sg):
    out = whole(sg, PROFILE % sg.cwd)
    text = words(out)
    for expected in ("Measures.", "It may read:", "It may read and write:", "It may read and execute:",
                     "Folders of its own, empty at the start and gone at the end: by the flag \"tmp\" /tmp/, /var/tmp/",
                     "Refused, whatever allows it (the names stay visible): /etc/shadow (p1.toml:7:9)",
                     "is recorded, refused ones too: /etc/**", "All other files of this host do not exist for it.",
                     "tcp:10.0.0.0/8:5432 by address", "example.org:443 the addresses that the session's resolver answers for the name: "
                     "whatever else lives at them is open too", "All other addresses are refused.",
                     "Refused, whatever allows it: tcp:10.1.2.3:*", "malloc take and give back memory (p1.toml:14:19)",
                     "System calls that are refused: ptrace.", "Processes 64: processes and threads of the world together (p1.toml:15:",
                     "Memory 2GiB:", "CpuTime 1h:", "OpenFiles 65536:", "MODE=test", "It starts in /tmp.",
                     'Deny "/etc/shadow" (p1.toml:7:9) takes away from ReadOnly "/etc/**"',
                     'ReadOnly "/etc/**" (p1.toml:4:24) meets a rule that lets the same be written',
                     "/usr/bin/ for Exec \"/usr/bin/*\"", "/var/lib/ for ReadOnly \"/var/lib/*.db\"",
                     "mquery none in Linux", "minherit madvise", "How it is held", "openings every opening of a file"):
        assert expected in text, (expected, out)
    assert "Where each rule is held" not in text


def test_no_network_and_nothing(sg):
    out = words(whole(sg, BASE))
    assert "leads nowhere: no address can be reached" in out and "openings those that can write; reading runs natively" in out
    empty = words(whole(sg, "\n"))
    assert "No file at all." in empty and "No purpose is granted: no program can start." in empty


def test_comments_of_the_profile_are_mapped(sg):
    text = words(explain(sg, '[Runtime]\nFlags = [\n  # allows getentropy(2), chflags(2)\n  "start",\n  "fork"] # and setugid\n'))
    assert "getentropy getrandom" in text and "chflags file_setattr" in text and "setugid none in Linux" in text


def test_written_variables_and_escapes(sg):
    text = words(whole(sg, '[Filesystem]\nReadWrite = ["${CWD}/**"]\nReadOnly = ["/etc/\\u001bx"]\n'))
    assert "%s/** everything in this folder, however deep (written ${CWD}/**, p1.toml:2:14)" % sg.cwd in text
    assert "\\ex" in text and "\033" not in text


def test_short_form(sg):
    """What grants is named, or counted; so is what is refused and recorded."""
    extra = ('[Define.metrics]\nDescription = "count things"\nSyscalls = ["sysinfo"]\nReadOnly = [%s]\n'
             % ", ".join('"/srv/metrics/%d"' % i for i in range(9)))
    profile = (PROFILE % sg.cwd).replace('Flags = ["start", "malloc"]', 'Flags = ["start", "malloc", "incoming-data"]') + extra
    profile = profile.replace("incoming-data", "metrics").replace('"/var/lib/*.db"', ", ".join('"/var/lib/%d/*.db"' % i for i in range(12)))
    text = words(explain(sg, profile))
    for expected in ("Measures.", "read /etc/**, /usr/**, /var/lib/0/*.db, ", ' and 8 more; ', "/srv/metrics/0, /srv/metrics/1, /srv/metrics/2 and 6 more "
                     '(flag "metrics")', "read and write %s/**, /etc/hostname" % sg.cwd, "execute /usr/bin/*",
                     'have of its own /tmp/, /var/tmp/ (flag "tmp"): empty at the start, gone at the end',
                     "connect to tcp:10.0.0.0/8:5432, tcp:example.org:443", "see the names in /usr/bin/, /var/lib/0/, ", " and 5 more",
                     "metrics (count things)", "; with them come ", "system calls", "Refused, whatever allows it opening, changing /etc/shadow",
                     "addresses tcp:10.1.2.3:*", "system calls ptrace", "Recorded, refused ones too opening for writing, and changes /etc/**",
                     "limits Processes 64, CpuTime 1h, Memory 2GiB; else the defaults", "further variables MODE", "starts in /tmp",
                     "asked each time every opening of a file", "--long shows each rule"):
        assert expected in text, (expected, text)
    assert "MODE=test" not in text
    assert "these by their names: kcmp" in words(explain(sg, BASE + '[Misc]\nSyscalls = ["kcmp"]\n'))


def test_short_form_of_nothing_and_of_the_shipped(sg):
    empty = words(explain(sg, "\n"))
    assert "do nothing: no program can start" in empty and "connect to nothing outside: its network is its own" in empty and "limits the defaults" in empty
    for name in ("developer", "offline", "build", "untrusted", "read-only-host"):
        done = sg.cli("explain", name)
        lines = done.stdout.splitlines()
        assert done.returncode == 0 and len(lines) <= 60 and all(len(line) <= 80 for line in lines if " " in line.strip()), (name, len(lines))
        assert len(lines) < len(sg.cli("explain", name, "--long").stdout.splitlines())


def test_every_grant_is_named_or_counted(sg):
    """The short form of each shipped profile: of every kind as many names as rules, shown or in a number."""
    for name, rows in (("developer", 6), ("untrusted", 3)):
        text = explain_named(sg, name)
        whole_text = explain_named(sg, name, "--long")
        for short, long_title in (("read", "It may read:"), ("read and write", "It may read and write:"), ("execute", "It may read and execute:"),
                                  ("load as libraries", "It may load as libraries, not execute:"), ("connect to", "It may connect to:")):
            row = re.search(r"^  %s {2,}(.*?)(?=^  \S|^\S|\Z)" % re.escape(short), text, re.M | re.S)
            block = re.search(r"^  %s\n(.*?)(?=^  \S|^\S|\Z)" % re.escape(long_title), whole_text, re.M | re.S)
            assert (row is None or "nothing outside" in row.group(1)) == (block is None), (name, short)
            if block is None:
                continue
            rows -= 1
            shown = words(row.group(1))
            counted = sum(int(n) for n in re.findall(r" and (\d+) more", shown)) + len(re.split(r", |; ", re.sub(r" and \d+ more| \(flag [^)]*\)", "", shown)))
            there = 0
            for line in re.split(r"\n(?=    \S)", block.group(1).strip("\n")):
                line = words(line)
                there += len(line.split('" ', 1)[1].split(", ")) if line.startswith("by the flag") else 1
            assert counted == there, (name, short, shown, counted, there)
        assert rows <= 3, name


def test_what_cannot_be_held_is_explained(sg):
    """Labels, walls and privileged actions: what they say is told, and that no session holds it yet."""
    text = BASE + """[Label.customers]
Secret = true
Files = ["/srv/customers/**"]
[Label.internet]
Network = ["internet"]
[Walls]
Never = [["internet", "customers"]]
[Privileged]
ReadAny = ["/var/log/**"]
[[Privileged.Action]]
Name = "restart"
Command = ["/usr/bin/systemctl", "restart", "nginx"]
"""
    for options, told in (([], ("classes of data and of reach", "never held together")),
                          (["--long", "--cost"], ("Classes of data and of reach:", "One world never holds all of:"))):
        done = sg.cli("explain", sg.profile(text), *options)
        said = words(done.stdout)
        assert done.returncode == 3 and 'in this folder "run" would refuse it: ' in done.stderr and "[Label]" in done.stderr
        for expected in told + ('"customers" Files "/srv/customers/**"', '"customers" Secret "true"', '"internet" Network "internet"',
                                '["customers", "internet"]', 'ReadAny "/var/log/**"', "by a privileged helper",
                                'Action Name "restart" Command "/usr/bin/systemctl" "restart" "nginx"', "execute"):
            assert expected in said, (expected, said)


COSTS = [
    # profile lines, what makes every opening dear (None: nothing), what the advice says
    ('', None, "No rule makes reading dearer"),
    ('Deny = ["/etc/shadow"]\n', None, "a cover over a read-only tree"),
    ('LogOnWrite = ["/etc/**"]\n', None, "decided at openings that write"),
    ('LogOnRead = ["/etc/**"]\n', 'LogOnRead "/etc/**"', "LogOnWrite costs reading nothing"),
    ('Deny = ["/etc/*.key"]\n', 'Deny "/etc/*.key"', "held by a cover instead"),
    ('ReadWrite = ["{0}/**"]\nDeny = ["{0}/secret"]\n', 'Deny "{0}/secret"', "Make what is writable smaller"),
    ('Map = ["{0}/*.txt"]\n', 'Map "{0}/*.txt"', "grant the whole folder"),
]


def test_cost_names_what_makes_it_dear(sg):
    """What --cost says is what the plan does: a reading is recorded by its grant only where openings are decided."""
    sg.write("a.txt", "x\n")
    for lines, forcing, advice in COSTS:
        profile = BASE.replace("[Runtime]", lines.replace("{0}", sg.cwd) + "[Runtime]")
        text = words(explain(sg, profile, "--cost"))
        assert advice in text, (lines, text)
        if forcing is None:
            assert "No rule makes reading dearer" in text and "Every opening is decided because" not in text, lines
        else:
            assert "Every opening is decided because of " + forcing.replace("{0}", sg.cwd) in text, (lines, text)
        decided = sg.run(profile, "/usr/bin/cat", "/etc/hostname").of("grant")
        assert bool(decided) == (forcing is not None), (lines, decided)
    assert "about 10 native opens" in text and "8 ns a call" in text


def test_options_become_a_profile(sg):
    options = ["--ro", "/srv/a b/**", "--rw", '/srv/"q"/**', "--deny", "/srv/a b/x", "--allow", "tcp:example.org:443", "--flag", "debug",
               "--flag", "dns", "--flag", "clock", "--limit", "Processes=9", "--env", "A=b", "--name", "mine"]
    toml = sg.cli("explain", "--toml", "developer", *options)
    assert toml.returncode == 0
    assert toml.stdout.startswith('Name = "mine"\nExtends = ["developer"]\n')
    for expected in ('[Networking]\nAllow = ["tcp:example.org:443"]\nFlags = ["dns"]\n',
                     '[Filesystem]\nReadOnly = ["/srv/a b/**"]\nReadWrite = ["/srv/\\"q\\"/**"]\nDeny = ["/srv/a b/x"]\n',
                     'Limits = { Processes = 9 }\n', 'Flags = ["debug"]\n', '[Misc]\nFlags = ["clock"]\n'):
        assert expected in toml.stdout, (expected, toml.stdout)
    saved = sg.profile("\n" + toml.stdout)
    assert sg.cli("check", saved).returncode == 0
    same = [re.search(r"hash is (\w+)", sg.cli("explain", *arguments).stdout).group(1)
            for arguments in (["developer"] + options, [saved], options + ["-p", "developer"])]
    assert len(set(same)) == 1  # the command line and the profile made of it are one policy
    alone = sg.cli("explain", "--toml", *options).stdout
    assert alone == toml.stdout  # beside no profile they stand beside the one that `run` takes
    assert sg.cli("explain", "--toml").stdout == ""
    assert "debug (trace and inspect the other processes" in words(sg.cli("explain", "--flag", "debug").stdout)  # what is asked about has its words
    shown = sg.cli("explain", "developer", *options).stdout
    assert "These options as a profile (NAME.toml):" in shown and toml.stdout in shown


def test_options_beside_profiles_given_by_path(sg):
    """What a profile extends by path is beside or below it: what is printed says where it belongs, and means the same there."""
    for name in ("one.toml", "deep/two.toml"):
        sg.write(name, BASE, folder=os.path.join(sg.work, "kept"))
    os.symlink("../kept/one.toml", os.path.join(sg.cwd, "link.toml"))
    kept = os.path.join(sg.work, "kept")
    rows = [(["link.toml"], "kept/", '["./one.toml"]'), (["../kept/deep/two.toml", "offline"], "kept/deep/", '["./two.toml", "offline"]'),
            ([kept + "/one.toml", "../kept/deep/two.toml"], "kept/", '["./one.toml", "./deep/two.toml"]')]
    for profiles, folder, extended in rows:
        toml = sg.cli("explain", "--toml", *profiles, "--ro", "/srv/**")
        place = os.path.join(sg.work, folder)
        assert toml.returncode == 0 and toml.stdout.startswith("# Save this in %s: " % place) and "\nExtends = %s\n" % extended in toml.stdout, toml
        saved = sg.write("saved.toml", toml.stdout, folder=place)
        same = [re.search(r"hash is (\w+)", sg.cli("explain", *arguments).stdout).group(1) for arguments in (profiles + ["--ro", "/srv/**"], [saved])]
        assert same[0] == same[1]
        os.unlink(saved)
    assert "# " not in sg.cli("explain", "--toml", "developer", "--ro", "/srv/**").stdout


def test_what_this_host_does_not_have(sg):
    missing = os.path.join(sg.cwd, "state")
    profile = sg.profile(BASE.replace('Flags = ["tmp"]', 'ReadWrite = ["%s/**"]' % missing))
    told = "Not on this host, and so not in a world that begins now:"
    assert "not here 1 rule for writing or executing" in words(sg.cli("explain", profile).stdout)
    text = sg.cli("explain", profile, "--long").stdout
    assert told in text and re.search(r'ReadWrite "%s/\*\*"\s+\(p\d+.toml:\d+:\d+\)' % re.escape(missing), text[text.index(told):])
    assert sg.run(profile, "/bin/sh", "-c", "echo x > %s/a" % missing).status != 0
    os.mkdir(missing)
    if os.getuid() == 0:
        os.chown(missing, sg.uid, sg.uid)
    assert told not in sg.cli("explain", profile, "--long").stdout and "not here" not in sg.cli("explain", profile).stdout
    assert sg.run(profile, "/bin/sh", "-c", "echo x > %s/a" % missing).status == 0


def test_width(sg):
    profile = sg.profile(PROFILE % sg.cwd)
    wide = sg.cli("explain", profile, "--cost").stdout
    longest = [line for line in wide.splitlines() if len(line) > 80]
    assert all(" " not in re.split(" {2,}", line.strip())[-1] for line in longest), longest  # only a word by itself may be longer
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 50, 0, 0))
    process = subprocess.Popen(sg.command([sg.program, "explain", profile]), env=sg.environment(), cwd=sg.cwd, stdout=slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(master)
    assert process.wait(timeout=30) == 0
    narrow = [line for line in seen.decode().replace("\r", "").split("\n") if len(line) > 50]
    assert all(" " not in re.split(" {2,}", line.strip())[-1] for line in narrow), narrow
    assert words(seen.decode()) == words(wide.split("Where each rule is held")[0])


def test_errors(sg):
    rows = [(["explain", "no-such-profile"], 'there is no profile "no-such-profile"'), (["explain", "--cots"], "did you mean --cost?"),
            (["explain", "developer", "--flag", "dsn"], 'did you mean "dns"?'),
            (["explain", "developer", "--limit", "Processes"], "--limit takes NAME=VALUE")]
    for arguments, message in rows:
        done = sg.cli(*arguments)
        assert done.returncode in (1, 2, 125) and message in done.stderr and done.stdout == "", (arguments, done)
