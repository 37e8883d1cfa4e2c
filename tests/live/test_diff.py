"""shellguard diff: what a change gives and takes, and that a change of the text alone is none."""
import json
import os
import re

from conftest import ROOT

OLD = """[Filesystem]
ReadOnly = ["/usr/**", "/srv/web/**"]
Exec = ["/usr/bin/*"]
[Networking]
Flags = ["dns"]
Allow = ["tcp:*.example:443"]
[Runtime]
Flags = ["start", "fork"]
Limits = { Processes = 64 }
"""


def diff(sg, old, new, *options):
    done = sg.cli("diff", *options, old, new)
    return done.returncode, done.stdout, done.stderr


def test_another_text_for_the_same_is_no_difference(sg):
    old = sg.profile(OLD)
    sg.write("base.toml", '[Runtime]\nFlags = ["fork", "start"]\nLimits = { Processes = 64 }\n', folder=sg.work)
    new = sg.profile("""# The same, written by somebody else.
Extends = ["./base.toml"]
Name = "web"
[Networking]
Allow = ["tcp:*.example:443", "tcp:www.example:443"]
Flags = ["dns"]
[Filesystem]
Exec = ["/usr/bin/*"]
ReadOnly = ["/srv/{web,web}/**", "/usr/{,**}", "/usr/**", "/usr/lib/x"]
""")
    for first, second in [(old, new), (new, old), (old, old)]:
        assert diff(sg, first, second) == (0, "No difference.\n", ""), (first, second)
        status, out, _ = diff(sg, first, second, "--json")
        assert status == 0 and json.loads(out) == {"differences": [], "gives": 0, "takes": 0, "changes": 0}


def test_a_change_is_told_by_an_example(sg):
    old = sg.profile(OLD)
    new = sg.profile(OLD.replace('"/srv/web/**"', '"/srv/**"').replace(":443", ":80,443").replace("64", "32").replace(
        '"fork"', '"fork", "debug"') + '[Misc]\nDenySyscalls = ["clone"]\n')
    status, out, err = diff(sg, old, new)
    assert (status, err) == (1, "")
    gives, takes = out.split("It takes away:")
    assert gives.startswith("It gives:\n") and "It changes" not in out
    assert "  flag debug\n" in gives and "  connect to tcp:some-name.example:80\n" in gives and re.search("^  read /srv/[a-zA-Z]$", gives, re.M)
    assert 'ReadOnly "/srv/**" (%s:2:24)' % new in " ".join(gives.split())
    assert "  limit Processes: 64 before, 32 now\n" in takes and "  system call clone\n" in takes
    status, out, _ = diff(sg, old, new, "--json")
    found = json.loads(out)
    assert status == 1 and found["gives"] >= 3 and found["takes"] == 2 and found["changes"] == 0
    read = [d for d in found["differences"] if d["what"] == "read"]
    assert [(d["direction"], d["example"], d["was"], d["becomes"]["line"]) for d in read] == [("gives", read[0]["example"], None, 2)]
    # What it gives one way, it takes the other.
    backwards = json.loads(diff(sg, new, old, "--json")[1])
    assert (backwards["gives"], backwards["takes"]) == (found["takes"], found["gives"])


def test_what_it_says_is_so(sg):
    """Each name that is told of is one about which `can` answers otherwise."""
    old, new = sg.profile(OLD), sg.profile(OLD.replace("/srv/web/**", "/srv/web/*.html") + "")
    found = json.loads(diff(sg, old, new, "--json")[1])["differences"]
    assert {d["direction"] for d in found} == {"takes"} and {d["what"] for d in found} >= {"read"}
    for d in found:
        action = {"read": "read", "list": "list", "see": "see"}[d["what"]]
        assert sg.cli("can", old, action, d["example"]).returncode == 0
        assert sg.cli("can", new, action, d["example"]).returncode == 1


def test_errors_are_no_difference(sg):
    old = sg.profile(OLD)
    for arguments, message in [
        ((old,), "usage: shellguard diff"), ((old, old, old), "usage: shellguard diff"),
        ((old, "./nothing.toml"), "nothing.toml"), (("no-such", old), "there is no profile"),
        ((old, sg.profile("[Filesystem]\nReadOnly = [5]\n")), "it takes a string"),
    ]:
        done = sg.cli("diff", *arguments)
        assert (done.returncode, done.stdout) == (2, "") and message in done.stderr, (arguments, done)


def test_names_are_escaped(sg):
    new = sg.profile('[Filesystem]\nReadOnly = ["/srv/\\u001bx"]\n')
    status, out, _ = diff(sg, sg.profile(""), new)
    assert status == 1 and "\x1b" not in out and "/srv/\\e" in out


def test_shipped_profiles_differ_and_are_compared(sg):
    names = sorted(name[:-5] for name in os.listdir(os.path.join(ROOT, "profiles")) if name.endswith(".toml"))
    for first, after in zip(names, names[1:] + names[:1]):
        for second in (first, after):
            status, out, err = diff(sg, first, second, "--json")
            assert (status, err) == (0 if first == second else 1, ""), (first, second, err)
    offline = json.loads(diff(sg, "offline", "developer", "--json")[1])
    assert offline["takes"] == 0 and offline["gives"] > 0
