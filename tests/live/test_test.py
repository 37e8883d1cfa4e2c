"""shellguard test: assertions beside a profile, what they say when they fail, and what is no test."""
import json
import os

import pytest

from conftest import ROOT

PROFILE = """Name = "web"
[Filesystem]
ReadOnly = ["/srv/**"]
Deny = ["/srv/key"]
Hide = ["/srv/customers/**"]
[Networking]
Flags = ["loopback", "dns"]
Allow = ["tcp:*.example:443"]
"""

TESTS = """[[Test]]
Open = "/srv/key"
Expect = "deny"
[[Test]]
Read = "/srv/page"
Expect = "allow"
[[Test]]
Read = "/srv/customers/list"
Expect = "hide"
[[Test]]
Read = "/srv/customers/list"
Expect = "deny"
[[Test]]
Name = "the front door"
Connect = "tcp:www.example:443"
Expect = "allow"
[[Test]]
Connect = "tcp:192.0.2.1:443"
Expect = "answered"
[[Test]]
Connect = "tcp:127.0.0.1:80"
Expect = "allow"
"""


def run(sg, *arguments):
    done = sg.cli("test", *arguments)
    return done.returncode, done.stdout, done.stderr


def test_passes_in_the_profile_and_in_a_file(sg):
    profile = sg.profile(PROFILE + TESTS)
    status, out, err = run(sg, profile)
    assert (status, err) == (0, "") and out.endswith("7 passed, 0 failed\n")
    assert "%s:10:8: passed: read /srv/key: deny\n" % profile in out
    assert "%s:23:11: passed: the front door: connect tcp:www.example:443: allow\n" % profile in out
    bare = sg.profile(PROFILE)
    path = sg.write("web.test.toml", TESTS)
    for name in (path, "web.test.toml", "./web.test.toml"):
        status, out, err = run(sg, bare, name)
        assert (status, err) == (0, "") and out.endswith("7 passed, 0 failed\n") and "web.test.toml:2:8: passed" in out
    # Both count, where both have some.
    status, out, _ = run(sg, profile, path)
    assert status == 0 and out.endswith("14 passed, 0 failed\n")


def test_a_failure_tells_where_and_why(sg):
    profile = sg.profile(PROFILE + '[[Test]]\nDescription = "it must not leak"\nRead = "/srv/page"\nExpect = "deny"\n' + TESTS)
    status, out, err = run(sg, profile)
    assert (status, err) == (1, "") and out.endswith("7 passed, 1 failed\n")
    lines = out.split("\n")
    assert lines[0] == "%s:11:8: FAILED: read /srv/page: allow" % profile
    assert lines[1] == '    expected "deny", found "allow": a rule allows it'
    assert lines[2] == '    ReadOnly "/srv/**" (%s:3:13)' % profile and lines[3] == "    it must not leak"


@pytest.mark.parametrize("expect,outcomes", [
    ("allow", {"allow", "own"}), ("own", {"own"}), ("deny", {"deny", "hide"}), ("hide", {"hide"}), ("answered", {"answered"})])
def test_each_expectation_fails_for_every_other_outcome(sg, expect, outcomes):
    asked = {"allow": 'Read = "/srv/page"', "own": 'Connect = "tcp:127.0.0.1:80"', "deny": 'Read = "/srv/key"',
             "hide": 'Read = "/srv/customers/list"', "answered": 'Connect = "tcp:192.0.2.1:443"'}
    text = PROFILE + "".join('[[Test]]\n%s\nExpect = "%s"\n' % (question, expect) for question in asked.values())
    done = sg.cli("test", "--json", sg.profile(text))
    found = json.loads(done.stdout)
    assert [t["outcome"] for t in found["tests"]] == list(asked)
    assert {t["outcome"] for t in found["tests"] if t["passed"]} == outcomes
    assert (found["passed"], found["failed"]) == (len(outcomes), 5 - len(outcomes)) and done.returncode == 1


def test_nothing_to_test_fails(sg):
    profile, empty = sg.profile(PROFILE), sg.write("empty.toml", "# nothing\n")
    for arguments in [(profile,), (profile, empty), (sg.profile(PROFILE + TESTS), empty)]:
        status, out, err = run(sg, *arguments)
        assert (status, out) == (1, "") and "there is no [[Test]] in " in err, (arguments, out, err)


@pytest.mark.parametrize("text,messages", [
    ('[[Test]]\nRaed = "/x"\nExpect = "deny"\n', ['2:1: error: unknown key "Raed" in Test', 'did you mean "Read"?']),
    ('[[Test]]\nExpect = "deny"\n', ["1:1: error: this test asks nothing"]),
    ('[[Test]]\nRead = "/x"\n', ["1:1: error: this test expects nothing"]),
    ('[[Test]]\nRead = "/x"\nWrite = "/x"\nExpect = "deny"\n', ["3:1: error: a test has one action, and this one has Read already"]),
    ('[[Test]]\nRead = "/x"\nOpen = "/x"\nExpect = "deny"\n', ["3:1: error: a test has one action"]),
    ('[[Test]]\nRead = "/x"\nExpect = "dney"\n', ['3:10: error: "dney" is nothing that a test can expect', 'did you mean "deny"?']),
    ('[[Test]]\nRead = "/x"\nExpect = true\n', ["3:10: error: Expect is a boolean here; it takes a string"]),
    ('[[Test]]\nRead = ["/x"]\nExpect = "deny"\n', ["2:8: error: Read is an array here; it takes a string"]),
    ('[[Test]]\nRead = "x"\nExpect = "deny"\n', ['2:8: error: "x" is not an absolute name']),
    ('[[Test]]\nConnect = "tcp:a:1-9"\nExpect = "deny"\n', ["2:11: error:", "more than one address"]),
    ('[[Test]]\nSyscall = "opnat"\nExpect = "deny"\n', ['there is no system call "opnat"', 'did you mean "openat"?']),
    ('[Test]\nRead = "/x"\nExpect = "deny"\n', ["1:1: error: Test is a table here; it takes an array", "write it in double brackets: [[Test]]"]),
    ('[[Test]]\nRead = "/x"\nExpect = "deny"\n[Networking]\nAllow = ["*:*:*"]\n', ["4:2: error: a file of tests holds [[Test]] and nothing else"]),
])
def test_errors_have_places(sg, text, messages):
    """In a file of tests and in the profile itself; none of the tests is run then."""
    path = sg.write("odd.toml", text)
    status, out, err = run(sg, sg.profile(PROFILE + TESTS), path)
    assert (status, out) == (2, ""), (out, err)
    for message in messages:
        assert message in err, err
    assert path + ":" in err
    if "a file of tests" not in messages[-1]:
        status, out, err = run(sg, sg.write("whole.toml", text))
        assert (status, out) == (2, "") and messages[-1] in err, (out, err)


def test_a_malformed_test_is_an_error_of_the_profile(sg):
    done = sg.cli("check", sg.profile(PROFILE + '[[Test]]\nRead = "/x"\nExpect = "dney"\n'))
    assert done.returncode == 1 and 'did you mean "deny"?' in done.stderr


def test_wrong_usage(sg):
    for arguments in [(), ("a", "b", "c")]:
        status, out, err = run(sg, *arguments)
        assert (status, out) == (2, "") and "usage: shellguard test" in err
    status, _, err = run(sg, sg.profile(PROFILE), "./nothing.toml")
    assert status == 2 and "nothing.toml" in err
    status, _, err = run(sg, "no-such-profile")
    assert status == 2 and "there is no profile" in err


def test_several_profiles_are_tested_together(sg):
    first, second = sg.profile(PROFILE + TESTS), sg.profile('[Filesystem]\nDeny = ["/srv/page"]\n')
    assert run(sg, "-p", first)[0] == 0
    status, out, _ = run(sg, "-p", first, "-p", second)
    assert status == 1 and "read /srv/page: deny" in out and out.endswith("6 passed, 1 failed\n")
    path = sg.write("more.toml", '[[Test]]\nRead = "/srv/page"\nExpect = "deny"\n')
    assert run(sg, "-p", first, "-p", second, path)[1].endswith("7 passed, 1 failed\n")


def test_tests_change_nothing(sg):
    """A profile with tests means what it means without them."""
    hashes = {line for text in (PROFILE, PROFILE + TESTS) for line in sg.cli("explain", sg.profile(text)).stdout.split("\n")
              if "The policy's hash is" in line}
    assert len(hashes) == 1, hashes


SHIPPED = sorted(name[:-5] for name in os.listdir(os.path.join(ROOT, "profiles")) if name.endswith(".toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_profile_holds_its_own_tests(sg, name):
    status, out, err = run(sg, name)
    assert (status, err) == (0, ""), out + err
    assert int(out.split("\n")[-2].split(" passed")[0]) >= 3
