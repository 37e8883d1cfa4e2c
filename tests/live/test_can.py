"""shellguard can: what it answers, its exit statuses, and that a session decides the same."""
import json
import os

import pytest

from conftest import BASE

NET = BASE + """
[Networking]
Flags = ["loopback", "dns"]
Allow = ["tcp:*.example:443"]
"""


def can(sg, *arguments):
    done = sg.cli("can", *arguments)
    return done.returncode, done.stdout, done.stderr


def ask(sg, profiles, *question):
    """The answer as JSON, checked against the exit status."""
    status, out, err = can(sg, "--json", *(sg.profile(p) for p in profiles), *question)
    assert err == "", err
    answer = json.loads(out)
    assert status == (0 if answer["may"] else 1)
    return answer


def test_answers_and_statuses(sg):
    profile = sg.profile(NET)
    status, out, err = can(sg, profile, "read", "/etc/passwd")
    assert (status, err) == (0, "") and out.startswith("Yes: it may read /etc/passwd.\n")
    # The rule stands in line 4 of the profile, its value in column 24.
    assert 'ReadOnly "/etc/**" (%s:4:24)' % profile in " ".join(out.split())
    status, out, err = can(sg, profile, "write /etc/passwd")
    assert (status, err) == (1, "") and "[Filesystem]\n  ReadWrite = [\"/etc/passwd\"]\n" in out
    status, out, err = can(sg, profile, "connect tcp:evil.example:443")
    assert status == 0 and "with whatever else lives at them" in " ".join(out.split())
    status, out, err = can(sg, profile, "connect", "tcp:192.0.2.1:443")
    assert status == 0 and out.startswith("Yes, on a condition: it may connect to tcp:192.0.2.1:443.\n")
    assert can(sg, profile, "connect", "tcp:192.0.2.1:80")[0] == 1


def test_wrong_questions_are_no_answers(sg):
    profile = sg.profile(NET)
    for arguments, message in [
        ((profile, "raed", "/etc/passwd"), 'did you mean "read"?'),
        ((profile, "raed /etc/passwd"), 'did you mean "read"?'),
        ((profile, "read"), 'what "read" is about'),
        ((profile,), "is no action: the actions are read, write"),
        ((), "usage: shellguard can"),
        ((profile, "read", "etc/passwd"), "not an absolute name"),
        ((profile, "connect", "tcp:a.example:1-9"), "more than one address"),
        (("./nothing", "read", "/etc/passwd"), "nothing"),
        ((sg.profile("[Filesystem]\nReadOnyl = []\n"), "read", "/etc/passwd"), 'did you mean "ReadOnly"?'),
    ]:
        status, out, err = can(sg, *arguments)
        assert (status, out) == (2, "") and message in err, (arguments, status, out, err)
    done = sg.cli("can", "--help")
    assert done.returncode == 0 and "connect ADDRESS" in done.stdout and "1: no" in done.stdout


def test_profiles_unite(sg):
    first, second = "[Filesystem]\nReadOnly = [\"/srv/**\"]\n", "[Filesystem]\nDeny = [\"/srv/key\"]\n"
    assert ask(sg, [first], "read", "/srv/key")["outcome"] == "allow"
    answer = ask(sg, [first, second], "read", "/srv/key")
    assert answer["outcome"] == "deny" and answer["rule"]["key"] == "Deny" and answer["rule"]["line"] == 2
    assert answer["change"] is None
    status, out, _ = can(sg, "-p", sg.profile(first), "-p", sg.profile(second), "read /srv/key")
    assert status == 1 and out.startswith("No: it may not read /srv/key.\n")
    assert ask(sg, [first, second], "read", "/srv/other")["outcome"] == "allow"


def test_a_name_may_hold_anything(sg):
    profile = '[Filesystem]\nReadOnly = ["/srv/a b", "/srv/\\\\*"]\n'
    assert ask(sg, [profile], "read", "/srv/a b")["may"] is True
    assert ask(sg, [profile], "read /srv/a b")["may"] is True
    assert ask(sg, [profile], "read", "/srv/*")["may"] is True
    assert ask(sg, [profile], "read", "/srv/x")["may"] is False
    answer = ask(sg, [profile], "read", "/srv/\x1b[31m\n")
    assert answer["may"] is False
    status, out, _ = can(sg, sg.profile(profile), "read", "/srv/\x1b[31m\n")
    assert status == 1 and "\x1b" not in out


def test_links_of_this_host_are_told(sg):
    target = sg.write("target", "x\n")
    link = os.path.join(sg.cwd, "link")
    os.symlink(target, link)
    profile = sg.profile('[Filesystem]\nReadOnly = ["%s"]\n' % link)
    status, out, _ = can(sg, profile, "read", link)
    assert status == 0 and "symbolic links lead from that name to " + target in " ".join(out.split())
    assert can(sg, profile, "read", target)[0] == 1


FILES = [
    ("read", "srv/plain", "cat {}"), ("read", "srv/denied", "cat {}"), ("read", "srv/hidden", "cat {}"),
    ("read", "srv/folder/in", "cat {}"), ("read", "srv/none/in", "cat {}"), ("write", "srv/plain", "echo x >> {}"),
    ("write", "srv/rw/file", "echo x >> {}"), ("write", "srv/rw/new", "echo x > {}"), ("write", "srv/rw/kept", "echo x >> {}"),
    ("read", "srv/rw/kept", "cat {}"), ("exec", "srv/tool", "{}"), ("exec", "srv/rw/tool", "{}"), ("list", "srv/", "ls {}"),
    ("list", "srv/hidden-folder/", "ls {}"), ("see", "srv/denied", "test -e {}"), ("see", "srv/hidden", "test -e {}"),
    ("see", "srv/folder", "test -e {}"), ("see", "other/file", "test -e {}"), ("see", "other/shown", "test -e {}"),
    ("read", "other/file", "cat {}"), ("read", "other/shown", "cat {}"), ("read", "other/a.conf", "cat {}"),
    ("write", "/tmp/new", "echo x > {}"), ("read", "/proc/self/status", "cat {}"), ("write", "elsewhere/y", "mkdir -p $(dirname {0}) && echo x > {0}"),
]


@pytest.fixture
def tree(sg):
    for name in ("plain", "denied", "hidden", "folder/in", "none/in", "rw/file", "rw/kept", "hidden-folder/x"):
        sg.write(name, "contents\n", folder=os.path.join(sg.work, "srv"))
    for name in ("tool", "rw/tool"):
        sg.write(name, "#!/bin/sh\necho ran\n", mode=0o755, folder=os.path.join(sg.work, "srv"))
    for name in ("file", "shown", "a.conf"):
        sg.write(name, "contents\n", folder=os.path.join(sg.work, "other"))
    sg.write("x", "contents\n", folder=os.path.join(sg.work, "elsewhere"))
    for folder, _, _ in os.walk(sg.work):
        if os.getuid() == 0:
            os.chown(folder, sg.uid, sg.uid)
    return BASE.replace('ReadOnly = ["/usr/**"', 'ReadOnly = ["{0}/srv/**", "{0}/other/*.conf", "/usr/**"'.format(sg.work), 1).replace(
        'Exec = ["/usr/**"]', """Exec = ["/usr/**", "{0}/srv/tool"]
ReadWrite = ["{0}/srv/rw/**"]
Deny = ["{0}/srv/denied"]
DenyRead = ["{0}/srv/none/**"]
DenyWrite = ["{0}/srv/rw/kept"]
Hide = ["{0}/srv/hidden", "{0}/srv/hidden-folder/**"]
""".format(sg.work), 1)


def test_a_session_decides_the_same(sg, tree):
    for action, name, script in FILES:
        path = name if name.startswith("/") else os.path.join(sg.work, name)
        answer = ask(sg, [tree], action, path)
        ran = sg.shell(tree, script.format(path))
        assert (ran.status == 0) == answer["may"], (action, path, answer, ran.stderr)
    assert {ask(sg, [tree], action, name if name.startswith("/") else os.path.join(sg.work, name))["outcome"]
            for action, name, _ in FILES} == {"allow", "own", "deny", "hide"}


def test_a_session_connects_the_same(sg):
    """Sockets and addresses, decided by the same rules: a listener of the host's, and what a profile says of it."""
    import socket
    import threading

    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]

    def serve():
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            peer.sendall(b"host")
            peer.close()

    threading.Thread(target=serve, daemon=True).start()
    script = "exec /usr/bin/python3 -c \"import socket; print(socket.create_connection(('127.0.0.1', %d), 5).recv(9))\"" % port
    try:
        for rule, outcome in [('Allow = ["tcp:127.0.0.1:%d"]' % port, "allow"), ("", "own"),
                              ('Allow = ["tcp:127.0.0.1:%d"]\nDeny = ["*:loopback:*"]' % port, "deny")]:
            profile = BASE + '[Networking]\nFlags = ["loopback"]\n' + rule + "\n"
            assert ask(sg, [profile], "connect", "tcp:127.0.0.1:%d" % port)["outcome"] == outcome
            ran = sg.shell(profile, script)
            assert ("host" in ran.stdout) == (outcome == "allow"), (rule, ran.stdout, ran.stderr)
        nothing = BASE + '[Networking]\nAllow = ["tcp:127.0.0.1:%d"]\n' % port
        answer = ask(sg, [nothing], "connect", "tcp:127.0.0.1:%d" % port)
        assert answer["outcome"] == "deny" and answer["change"]["value"] == "loopback"
        assert sg.shell(nothing, script).status != 0
    finally:
        server.close()
