"""Profiles and arguments of strangers: nothing in them acts on the terminal of who looks at them, nor begins a line of its own."""
import os

ODD = r"\u001b[31mX\u0007\nshellguard: all is well\u009b\u202e\u2028"
NAME = "odd\x1b[31m\nshellguard: all is well.toml"

TEXTS = (
    'Name = "%s"\nDescription = "%s"\n' % (ODD, ODD),
    '[Filesystem]\nReadOnly = ["/srv/%s/**"]\nReadWrite = ["/srv/%s"]\nDeny = ["/srv/%s"]\n[Runtime]\nEnv = ["A=%s"]\n' % ((ODD,) * 4),
    '[Networking]\nFlags = ["unix"]\nAllow = ["unix:/%s", "unix:@%s"]\n' % (ODD, ODD),
    'Extends = ["%s"]\n["%s"]\nx = 1\n[Filesystem]\nFlags = ["%s"]\n' % (ODD, ODD, ODD),
    '[[Test]]\nName = "%s"\nRead = "/etc/%s"\nExpect = "allow"\n' % (ODD, ODD),
)

COMMANDS = (
    ("check", None), ("explain", None), ("explain", "--toml", None), ("test", None), ("can", None, "read", "/srv/\x1b[31m\nx"),
    ("can", None, "\x1b[31m", "x"), ("can", None, "flag", "\x1b[31m"), ("can", None, "connect", "tcp:\x1b[31m:1"),
    ("compile", "--approximate", "--to", "oci", None), ("compile", "--approximate", "--to", "seccomp", None),
    ("compile", "--approximate", "--to", "capabilities", None), ("run", "--dry-run", "-p", None, "--", "\x1b[31m"),
    ("run", "-p", None, "--", "/bin/\x1b[31mtrue"), ("why", "-p", None, "/srv/\x1b[31m"), ("run", "-p", "\x1b[31m\n"), ("\x1b[31m",),
)


def acts(text):
    return [c for c in text if (c < " " and c != "\n") or "\x7f" <= c < "\xa0" or c in "\u202a\u202b\u202c\u202d\u202e\u2028\u2029"]


def test_nothing_acts_on_the_terminal(sg):
    for text in TEXTS:
        path = sg.write(NAME, text, folder=sg.work)
        for command in COMMANDS if text == TEXTS[0] else COMMANDS[:4] + COMMANDS[8:9]:
            done = sg.cli(*[path if word is None else word for word in command])
            for said in (done.stdout, done.stderr):
                assert not acts(said) and "\nshellguard: all is well" not in said, (text, command, said)
            assert done.stdout or done.stderr or done.returncode == 0, command
        os.unlink(path)
