"""What may be executed, by name, whichever way it is asked for."""
from conftest import BASE

LOADER = "/lib64/ld-linux-x86-64.so.2"
SOME = BASE.replace('Exec = ["/usr/**"]', 'Exec = ["/usr/bin/sh", "/usr/bin/dash", "/usr/bin/cat", "/usr/bin/env"]')


def test_only_what_is_named(sg):
    done = sg.shell(SOME, "cat /etc/hostname >/dev/null && echo cat; /usr/bin/id; echo $?")
    assert done.stdout == "cat\n126\n"
    assert done.refusals("/usr/bin/id")[0]["operation"] == "execute"


def test_a_loader_does_not_get_round_it(sg):
    """ld.so FILE obeys the rule of FILE: where not all code may be executed, the loader alone may not be either."""
    profile = SOME.replace('"/usr/bin/env"]', '"/usr/bin/env", "/usr/lib/**"]')
    done = sg.shell(profile, LOADER + " /usr/bin/id; echo $?")
    assert done.stdout == "126\n"
    # Where everything on those mounts may be executed, nothing is gained by it, and ldd and its like work.
    assert "uid=" in sg.shell(BASE, LOADER + " /usr/bin/id").stdout
    # Named by itself it is what the profile says.
    named = SOME.replace('"/usr/bin/env"]', '"/usr/bin/env", "%s"]' % LOADER)
    assert "uid=" in sg.shell(named, LOADER + " /usr/bin/id").stdout


def test_scripts_are_decided_with_their_interpreters(sg):
    profile = SOME.replace('[Runtime]', '[Define.w]\nReadWrite = ["%s/**"]\nExec = ["%s/*"]\n[Misc]\nFlags = ["w"]\n[Runtime]' %
                           (sg.cwd, sg.cwd))
    sg.write("good", "#!/bin/sh\necho good\n", 0o755)
    sg.write("bad", "#!/usr/bin/python3\nprint('bad')\n", 0o755)
    sg.write("chain", "#!%s/good\n" % sg.cwd, 0o755)
    done = sg.shell(profile, "./good; ./bad; echo $?; ./chain")
    assert done.stdout == "good\n126\ngood\n"
    refused = [r["object"] for r in done.refusals()]
    assert any(o.startswith("/usr/bin/python3") for o in refused)


def test_nothing_without_a_name(sg):
    code = ("import os\n"
            "f = os.memfd_create('x')\n"
            "os.write(f, open('/usr/bin/true', 'rb').read())\n"
            "try:\n    os.execve(f, ['true'], {})\nexcept OSError as e:\n    print(e.errno)\n")
    profile = BASE.replace('"timers"', '"timers", "shared-memory"')
    done = sg.run(profile, "/usr/bin/python3", "-c", code)
    assert done.stdout == "13\n"
    assert any("memfd" in r.get("reason", "") for r in done.refusals())


def test_private_folders_are_not_for_code(sg):
    done = sg.shell(BASE, "cp /usr/bin/true /tmp/t && /tmp/t; echo $?; %s /tmp/t; echo $?" % LOADER)
    first, second = done.stdout.split()
    assert first == "126" and second != "0"
