"""What may be executed, by name, whichever way it is asked for."""
import os
import shutil
import time

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


def test_the_record_has_every_form_of_arguments(sg):
    """Few, many, long, empty ones, no environment, a script's: as /proc/PID/cmdline of the started program says them."""
    forms = [["one", "two words"], ["", "", "x"], ["n%d" % i for i in range(400)], ["y" * 3000] * 5, ["z" * 60000]]
    sg.write("script", "#!/usr/bin/cat\n", 0o755)
    code = ("import os\n"
            "forms = %r\n"
            "def start(program, argv, env):\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n        os.execve(program, argv, env)\n"
            "    os.waitpid(pid, 0)\n"
            "for form in forms:\n"
            "    start('/usr/bin/true', ['true'] + form, {'A': 'b'})\n"
            "    start('/usr/bin/true', ['true'] + form, {})\n"
            "start('./script', ['name', 'a'], {})\n") % forms
    profile = BASE.replace('Exec = ["/usr/**"]', 'Exec = ["/usr/**", "%s/*"]' % sg.cwd)
    done = sg.run(profile, "/usr/bin/python3", "-c", code)
    recorded = [r["process"]["argv"] for r in done.of("exec")]
    for form in forms:
        written = [[text[:len(kept)] for text, kept in zip(["true"] + form, argv)] for argv in recorded]
        # What is longer than the record holds is cut there, and the same either way.
        same = [argv for argv, cut in zip(recorded, written) if argv[:1] == ["true"] and argv == cut and
                len(argv) > 1 and argv[-1] == form[len(argv) - 2][:len(argv[-1])]]
        assert len(same) == 2 and same[0] == same[1], form[:3]
    assert ["/usr/bin/cat", "./script", "a"] in recorded


def test_a_program_that_becomes_a_script(sg):
    """What is remembered of a file holds for the file as it was."""
    profile = BASE.replace('[Runtime]', '[Define.w]\nReadWrite = ["%s/**"]\nExec = ["%s/*"]\n[Misc]\nFlags = ["w"]\n[Runtime]' %
                           (sg.cwd, sg.cwd))
    path = sg.write("p", "", 0o755)
    shutil.copyfile("/usr/bin/true", path)
    settled = os.stat(path).st_ctime + 3
    while time.time() < settled:
        time.sleep(0.1)
    done = sg.shell(profile, "./p && ./p && echo program; printf '#!/usr/bin/echo script\\n' >p; ./p; ./p")
    assert done.stdout == "program\nscript ./p\nscript ./p\n"
