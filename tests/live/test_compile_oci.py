"""The back end oci: bundles that run real programs under crun and runc with the patch, and what they are refused."""
import json
import os
import socket
import threading

import containers
import pytest
from conftest import BASE
from test_compile import compiled, need


def patch_of(sg, profile):
    need("crun")
    return json.loads(compiled(sg, profile, "--to", "oci", "--approximate"))


def compiled_name(sg, name):
    need("crun")
    done = sg.cli("compile", name, "--to", "oci", "--approximate")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def bundle(arguments, cwd="/"):
    """A config.json that gives too much: what the patch does not take away, the probes find."""
    every = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_NET_ADMIN", "CAP_SETPCAP"]
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": arguments, "cwd": cwd, "env": ["SECRET=1"],
                    "capabilities": {kind: every for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/host", "type": "bind", "source": "/", "options": ["rbind"]}],
        "linux": {"namespaces": [{"type": "mount"}]},
    }


def run(sg, patch, arguments, cwd="/", timeout=120, runtime="crun"):
    config = containers.merge(bundle(arguments, cwd), patch)
    done = containers.run(sg, containers.without_missing_controllers(config), timeout=timeout, runtime=runtime)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PROBE = r"""
import errno, os, socket, subprocess, sys
def tell(name, call, *arguments, **more):
    try:
        value = call(*arguments, **more)
        print(name, "=", value if isinstance(value, (str, int, bytes)) else "done")
    except OSError as e:
        print(name, "=", errno.errorcode[e.errno])
def read(path):
    with open(path, "rb") as f: return f.read(20)
def write(path):
    with open(path, "w") as f: f.write("x")
    return "written"
def execute(path):
    with open("/bin/true", "rb") as f, open(path, "wb") as t: t.write(f.read())
    os.chmod(path, 0o755)
    return subprocess.run([path]).returncode
def connect(*address):
    with socket.create_connection(address, timeout=5): return "connected"
work, other = sys.argv[1], sys.argv[2]
tell("shadow", read, "/etc/shadow")
tell("other", read, other)
tell("home", lambda: " ".join(sorted(os.path.join(top, name) for top, dirs, names in os.walk("/home") for name in dirs + names)))
tell("root", lambda: " ".join(sorted(os.listdir("/"))))
tell("write usr", write, "/usr/probe")
tell("write etc", write, "/etc/probe")
tell("write root", write, "/probe")
tell("write work", write, work + "/written")
tell("write tmp", write, "/tmp/written")
tell("run tmp", execute, "/tmp/program")
tell("run shm", execute, "/dev/shm/program")
tell("symbols", read, "/proc/kallsyms")
tell("sysctl", write, "/proc/sys/kernel/hostname")
tell("processes", lambda: str(sum(1 for n in os.listdir("/proc") if n.isdigit()) < 5))
tell("connect", connect, "1.1.1.1", 53)
tell("host loopback", connect, "127.0.0.1", int(sys.argv[3]))
tell("suid", lambda: str(any(f & os.ST_NOSUID == 0 for f in [os.statvfs(p).f_flag for p in ("/usr", "/etc", work, "/tmp")])))
tell("environment", lambda: " ".join(sorted(os.environ)))
status = dict(line.split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
tell("capabilities", lambda: " ".join(status[k].strip() for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")))
tell("privileges", lambda: status["NoNewPrivs"].strip())
"""


@pytest.fixture
def listener():
    """A port of the host's loopback on which somebody answers."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()

    def serve():
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def said(text):
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


@pytest.mark.parametrize("runtime", containers.RUNTIMES)
def test_build(sg, listener, runtime):
    """The shipped profile "build": what it gives works, and each probe is refused."""
    need(runtime)
    other = sg.write("other", "another's\n", folder=sg.work)
    sg.write("probe.py", PROBE)
    patch = compiled_name(sg, "build")
    out = said(run(sg, patch, ["/usr/bin/python3", sg.cwd + "/probe.py", sg.cwd, other, str(listener)], runtime=runtime))
    assert out["shadow"] in ("b''", "EACCES") and out["other"] == "ENOENT", out
    # An ordinary user's home is a folder of the container's own: in /home is what leads to it, and nothing else.
    homes = {mount["destination"] for mount in patch["mounts"] if mount["destination"].startswith("/home/")}
    assert "host" not in out["root"].split() and ("home" in out["root"].split()) == bool(homes), (homes, out)
    assert set(out["home"].split()) == {"/".join(home.split("/")[:end]) for home in homes for end in range(3, len(home.split("/")) + 1)}
    for name in ("write usr", "write etc", "write root"):
        assert out[name] == "EROFS", out
    assert out["write work"] == "written" and out["write tmp"] == "written" and out["run tmp"] == "0", out
    assert out["run shm"] == "EACCES", out
    assert out["symbols"] == "b''" and out["sysctl"] in ("EROFS", "EACCES"), out
    assert out["processes"] == "True" and out["suid"] == "False", out
    assert out["connect"] in ("EPERM", "EAFNOSUPPORT", "ENETUNREACH") and out["host loopback"] != "connected", out
    assert set(out["environment"].split()) <= {"PATH", "HOME", "PWD", "LC_CTYPE"}, out
    bounding = out["capabilities"].split()
    assert out["privileges"] == "1" and {int(field, 16) for field in bounding} == {0}, out
    assert open(os.path.join(sg.cwd, "written"), encoding="utf-8").read() == "x"


SCRIPTS = {
    "bash": 'set -e; x=$(printf "%s\\n" a b | sort -r | head -1); [ "$x" = b ]; (exit 3) || [ $? = 3 ]; wait; echo fine',
    "python3": 'python3 -c "import json, hashlib, threading, subprocess; t = threading.Thread(target=lambda: None); t.start(); t.join();'
               ' print(subprocess.check_output([\'/bin/echo\', \'fine\'], text=True), end=\'\')"',
    "git": 'set -e; export HOME=$PWD GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=x GIT_CONFIG_KEY_1=user.email'
           ' GIT_CONFIG_VALUE_1=x@y; rm -rf r c; git init -q r; cd r; echo a > f; git add f; git commit -qm one; cd ..; git clone -q r c;'
           ' git -C c log --oneline | grep -q one; git -C c gc -q; echo fine',
    "gcc": 'set -e; printf "#include <stdio.h>\\nint main(void){puts(\\"fine\\");return 0;}\\n" > x.c; gcc -O2 -o x x.c; ./x',
    "node": 'node -e "const c = require(\'child_process\'); new Worker" 2>/dev/null;'
            ' node -e "let f = n => n < 2 ? n : f(n - 1) + f(n - 2); f(25); require(\'fs\').readFile(\'/etc/os-release\', e =>'
            ' console.log(e ? e.code : \'fine\'))"',
    "curl": 'set -e; python3 -m http.server -b 127.0.0.1 8123 >/dev/null 2>&1 & server=$!; echo fine > served;'
            ' curl -s --retry 40 --retry-connrefused --retry-delay 0 --retry-max-time 30 http://127.0.0.1:8123/served; kill $server',
}
# "untrusted" gives no code in memory (node) and a tmp without code (gcc's result); only developer's network has sockets of TCP.
RUNS = {
    "build": ("bash", "python3", "git", "gcc", "node"),
    "offline": ("bash", "python3", "git", "gcc", "node"),
    "developer": ("bash", "python3", "git", "gcc", "node", "curl"),
    "read-only-host": ("bash", "python3", "git", "node"),
    "untrusted": ("bash", "python3", "git"),
}


def runs_there(sg, profile, program, runtime):
    need(program)
    patch = compiled_name(sg, profile)
    writable = sg.cwd if profile in ("build", "offline", "developer") else "/tmp"
    assert run(sg, patch, ["/bin/bash", "-c", SCRIPTS[program]], writable, runtime=runtime).strip() == "fine"


@pytest.mark.parametrize("profile, program", [(profile, program) for profile, programs in RUNS.items() for program in programs])
def test_programs(sg, profile, program):
    """Real programs run under the patch of each shipped profile: its system call filter, its mounts and its limits are enough."""
    runs_there(sg, profile, program, "crun")


@pytest.mark.parametrize("profile", sorted(RUNS))
def test_programs_under_runc(sg, profile):
    """The same under the runtime that Docker and containerd start."""
    need("runc")
    runs_there(sg, profile, "python3" if profile == "developer" else "bash", "runc")


@pytest.mark.parametrize("runtime", containers.RUNTIMES)
def test_untrusted(sg, runtime):
    """Nothing of the person's is there, and limits hold."""
    need(runtime)
    patch = compiled_name(sg, "untrusted")
    probe = ("import os, mmap, resource, errno\n"
             "print('passwd =', os.path.exists('/etc/passwd'))\n"
             "print('home =', os.path.exists(%r))\n"
             "print('files =', resource.getrlimit(resource.RLIMIT_NOFILE))\n"
             "print('core =', resource.getrlimit(resource.RLIMIT_CORE))\n"
             "try: mmap.mmap(-1, 4096, prot=7); print('code = made')\n"
             "except PermissionError: print('code = refused')\n"
             "try: os.memfd_create('x'); print('memfd = made')\n"
             "except PermissionError: print('memfd = refused')\n") % sg.home
    out = said(run(sg, patch, ["/usr/bin/python3", "-c", probe], runtime=runtime))
    assert out == {"passwd": "False", "home": "False", "files": "(256, 256)", "core": "(1, 1)", "code": "refused", "memfd": "refused"}


def test_names(sg):
    """What a name holds stays in it: no other mount, no option, no other file."""
    name = 'a,ro:b\\c "d"\n%s$x'
    folder = os.path.join(sg.home, name)
    os.mkdir(folder)
    if os.getuid() == 0:
        os.chown(folder, sg.uid, sg.uid)
    sg.write("file", "inside\n", folder=folder)
    sg.write("neighbour", "outside\n", folder=sg.home)
    text = json.dumps(folder)[1:-1].replace("\\", "\\")
    quoted = text.replace("\\\\", "\\\\\\\\").replace(",", "\\\\,")
    patch = patch_of(sg, BASE.replace('"/etc/**"]', '"/etc/**"]\nReadWrite = ["%s/**"]' % quoted))
    mounted = [mount for mount in patch["mounts"] if mount["source"] == folder]
    assert len(mounted) == 1 and mounted[0]["destination"] == folder and "rw" in mounted[0]["options"], patch["mounts"]
    probe = ("import os, sys; f = sys.argv[1]; print(open(f + '/file').read().strip(), sorted(os.listdir(os.path.dirname(f))) == [os.path.basename(f)]);"
             "open(f + '/new', 'w').write('x')")
    assert run(sg, patch, ["/usr/bin/python3", "-c", probe, folder]) == "inside True\n"
    assert os.path.exists(os.path.join(folder, "new"))


def test_what_hosts_may_lack(sg):
    """What a host may lack is left out, and stands ready; what the profile needs and is not there stops the container."""
    some = BASE.replace('"/etc/**"]', '"/etc/os-release", "/etc/no-such-settings"]')
    patch = patch_of(sg, some)
    cat = ["/bin/cat", "/etc/os-release"]
    config = containers.without_missing_controllers(containers.merge(bundle(cat), patch))
    done = containers.run(sg, config)
    assert done.returncode != 0 and "No such file" in done.stderr, done.stderr
    ready = {mount["source"]: mount for mount in patch["x-shellguard-optional"]}
    assert {"/etc/os-release", "/etc/no-such-settings"} <= set(ready)
    config["mounts"] += [mount for source, mount in ready.items() if os.path.exists(source)]
    done = containers.run(sg, config)
    assert done.returncode == 0 and "NAME=" in done.stdout, done.stderr
    patch = patch_of(sg, BASE.replace('"/etc/**"]', '"/etc/**", "/srv/no-such-application/**"]'))
    done = containers.run(sg, containers.without_missing_controllers(containers.merge(bundle(cat), patch)))
    assert done.returncode != 0 and "/srv/no-such-application" in done.stderr, done.stderr


def test_both_names(sg):
    """A file is refused by both names of its folder where a host has /bin as a link."""
    for one, other in (("/usr/bin/env", "/bin/env"), ("/bin/env", "/usr/bin/env")):
        patch = patch_of(sg, BASE.replace("[Runtime]", 'Deny = ["%s"]\n[Runtime]' % one))
        assert {one, other} <= set(patch["linux"]["maskedPaths"])
        out = run(sg, patch, ["/bin/sh", "-c", "wc -c < /usr/bin/env; wc -c < /bin/env; wc -c < /usr/bin/cat"])
        sizes = [int(word) for word in out.split()]
        assert sizes[0] == 0 and sizes[1] == 0 and sizes[2] > 0, out


def test_limits_that_cannot_be_held(sg):
    """Where the host's control groups cannot hold a limit, root's runtime does not start without it; an ordinary user's passes it over."""
    patch = patch_of(sg, BASE)
    config = containers.merge(bundle(["/bin/true"]), patch)
    assert config["linux"]["resources"] == {"pids": {"limit": 4096}}
    done = containers.run(sg, config)
    assert (done.returncode == 0) == (sg.uid != 0 or containers.has_controller("pids")), done.stderr
