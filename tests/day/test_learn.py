"""A profile learned from work with servers by name: what was looked up is proposed by its name, and a clone of a day of an unknown
address works under it."""
import os
import re
import shutil

from conftest import need


def learn(day, script, *options):
    """Learns a script of sh in the project; the proposal is learned.toml there. Returns its text."""
    command = day._wrap([day.sg.program, "learn", "-o", "learned.toml"] + list(options) + ["--", "/bin/sh", "-c", script])
    done = day._run(command, b"", 120, None)
    assert done.status == 0, done.stdout + done.stderr
    return day.read("learned.toml")


def test_by_name(day, town):
    """Two servers of the same address: the learned profile names the one that was used, and the other is not to be had."""
    need("curl")
    town.web()
    script = "curl -sS http://web.test/plain"
    text = learn(day, script)
    assert '"tcp:web.test:80",' in text and re.search(r'Flags *= \[[^]]*"dns"', text), text
    assert "10.77.0.1" not in re.sub(r"#.*", "", text), text
    done = day.inside(script, profile="./learned.toml")
    assert (done.status, done.stdout) == (0, "page /plain\n"), (text, done.stderr)
    for refused in ("curl -sS http://other.test/plain", "curl -sS http://10.77.0.1:8443/", "curl -sS https://web.test/a"):
        assert day.outside("curl -sS http://other.test/plain").status == 0
        assert day.inside(refused, profile="./learned.toml").status != 0, refused


def test_a_clone_by_name(day, town):
    need("git")
    town.git()
    shutil.rmtree(town.repository("learned"), ignore_errors=True)
    town.repository("learned")
    script = ("rm -rf one; git clone -q git://git.test/learned one 2>&1 && cd one && echo 1 > f && git add f && git commit -q -m first && "
              "git push -q origin HEAD:main && git log --format=%s")
    text = learn(day, script)
    assert '"tcp:git.test:9418",' in text, text
    done = day.inside(script.replace("first", "second").replace("echo 1", "echo 2"), profile="./learned.toml")
    assert done.status == 0 and "second\nfirst\n" in done.stdout, (text, done.stdout, done.stderr, done.refusals())
    shutil.rmtree(day.seen(os.path.join(day.project, "one")))
    assert day.inside(script.replace("git.test", "other.test"), profile="./learned.toml").status != 0
