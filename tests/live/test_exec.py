"""What may be executed, by name, whichever way it is asked for."""
import os
import shutil
import subprocess
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


# Each in a process of its own, which says by what its execve failed, or what ran; in the order of its rows, one line each.
FAILING = r"""
import errno, os, resource, shutil, struct, sys
folder = sys.argv[1]
resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))

def attempt(what, path, argv, env={}, before=None):
    pid = os.fork()
    if pid == 0:
        kept = before() if before else None
        try:
            os.execve(path, argv, env)
        except OSError as error:
            os.write(1, (errno.errorcode[error.errno] + " " + what + "\n").encode())
            os._exit(3)
    status = os.waitpid(pid, 0)[1]
    if status != 3 << 8:
        os.write(1, ("ended by %d %s\n" % (status, what)).encode())

def made(name, data, mode=0o755):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    return path

def patched(name, offset, data):
    path = os.path.join(folder, name)
    shutil.copy("/usr/bin/true", path)
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)
    os.chmod(path, 0o755)
    return path

def interpreter(name, loader):
    with open("/usr/bin/true", "rb") as f:
        data = bytearray(f.read())
    at, parts = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for i in range(parts):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", data, at + 56 * i)
        if kind == 3:
            data[offset:offset + size] = loader.encode().ljust(size, b"\0")
            break
    return made(name, bytes(data))

TRUE = "/usr/bin/true"
copy = patched("copy", 0, b"\x7fELF")
script, bare = made("script", b"#!/bin/sh\necho script\n"), made("bare", b"echo no interpreter\n")
behind = made("behind", ("#!%s\n" % copy).encode())
write = lambda path: lambda: os.open(path, os.O_WRONLY)
attempt("runs", TRUE, ["true"])
attempt("a long string", TRUE, ["true", "x" * (128 << 10)])
attempt("a string that just fits", TRUE, ["true", "x" * ((128 << 10) - 1)])
attempt("many arguments", TRUE, ["true"] + ["x" * 1000] * 1100)
attempt("many variables", TRUE, ["true"], {"V%d" % i: "x" * 1000 for i in range(1100)})
attempt("as many as fit", TRUE, ["true"] + ["x" * 1000] * 1000)
attempt("many arguments of a script", script, ["script"] + ["x" * 1000] * 1100)
attempt("a small stack", TRUE, ["true"] + ["x" * 1000] * 200, {}, lambda: resource.setrlimit(resource.RLIMIT_STACK, (64 << 10, 64 << 10)))
attempt("being written", copy, ["copy"], {}, write(copy))
attempt("a script being written", script, ["script"], {}, write(script))
attempt("an interpreter being written", behind, ["behind"], {}, write(copy))
attempt("no longer written", copy, ["copy"])
attempt("a script", script, ["script"])
attempt("no format", bare, ["bare"])
attempt("empty", made("empty", b""), ["empty"])
attempt("another machine", patched("machine", 18, b"\xb7\x00"), ["machine"])
attempt("an object file", patched("object", 16, b"\x01\x00"), ["object"])
attempt("cut", made("cut", open(TRUE, "rb").read(80)), ["cut"])
attempt("no parts", patched("parts", 56, b"\0\0"), ["parts"])
attempt("not executable", made("plain", b"#!/bin/sh\n", 0o644), ["plain"])
attempt("an interpreter that is not executable", made("over", ("#!%s/plain\n" % folder).encode()), ["over"])
attempt("no interpreter there", made("lost", b"#!/usr/bin/nothing-of-that-name\n"), ["lost"])
attempt("a loader that is none", interpreter("loaderless", "/etc/passwd"), ["loaderless"])
attempt("a loader that is a text", interpreter("texted", "/usr/bin/ldd"), ["texted"])
print("lived on")
"""


def test_failures_come_back_where_names_are_hidden(sg):
    """A Hide that is held by looks: what fails by itself fails as it does without us, and ends nobody."""
    script = sg.write("failing.py", FAILING, folder=sg.work)
    plain, guarded = (os.path.join(sg.work, name) for name in ("plain", "guarded"))
    for folder in (plain, guarded):
        os.mkdir(folder)
        if os.getuid() == 0:
            os.chown(folder, sg.uid, sg.uid)
    profile = BASE.replace('Exec = ["/usr/**"]', 'ReadWrite = ["%s/**"]\nExec = ["/usr/**", "%s/**"]\nHide = ["%s/*.key"]' % (guarded, guarded, guarded))
    profile = profile.replace('"tmp"]', '"tmp", "attributes"]')
    profile = profile.replace('"/etc/**"', '"/etc/**", "%s"' % script)
    native = subprocess.run(sg.command(["/usr/bin/python3", script, plain]), env=sg.environment(), capture_output=True, text=True,
                            timeout=60)
    done = sg.run(profile, "/usr/bin/python3", script, guarded)
    assert native.returncode == 0 and native.stdout.endswith("lived on\n"), (native.stdout, native.stderr)
    for code in ("E2BIG", "ETXTBSY", "ENOEXEC", "ELIBBAD", "EACCES", "ENOENT"):
        assert code in native.stdout
    assert done.status == 0 and done.stdout.splitlines() == native.stdout.splitlines(), (done.stdout, native.stdout, done.stderr)
