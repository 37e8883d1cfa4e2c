"""The gallery: each profile keeps what its tests promise, and the programs that are here are run under it: start, serve, stop.

A second profile names the port of the test, its folder, and, where root starts it, the ordinary user that the world runs as.
"""
import glob
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

import conftest
from conftest import ROOT

GALLERY = sorted(glob.glob(os.path.join(ROOT, "gallery", "*.toml")))
PATIENCE = 30


@pytest.mark.parametrize("path", GALLERY, ids=[os.path.basename(path) for path in GALLERY])
def test_promises(sg, path):
    done = sg.cli("test", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sg.cli("fmt", "--check", path).returncode == 0
    passed = int(done.stdout.rsplit("\n", 2)[-2].split()[0])
    assert passed >= 8 and ", 0 failed" in done.stdout
    with open(os.path.join(ROOT, "docs", "gallery.md"), encoding="utf-8") as f:
        assert "](../gallery/%s)." % os.path.basename(path) in f.read(), "described in docs/gallery.md"


def test_can_be_named(sg):
    assert "nginx" in sg.cli("profiles").stdout
    mine = sg.profile('Extends = ["postgres"]\n[Runtime]\nLimits = { Processes = 100 }\n')
    assert sg.cli("test", "postgres").returncode == 0
    assert sg.cli("check", mine).returncode == 0


def free_port():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """A program under a profile of the gallery and the test's own, in a folder that is its user's."""

    def __init__(self, sg, profile, text=""):
        self.sg, self.port = sg, free_port()
        self.uid = sg.uid or conftest.pwd.getpwnam(conftest.USER).pw_uid
        if sg.who == "root":
            text += '[User]\nAs = "%s"\n' % conftest.USER
            os.chown(sg.cwd, self.uid, self.uid)
        self.profiles = [os.path.join(ROOT, "gallery", profile + ".toml"), text.replace("PORT", str(self.port)) + "\n"]

    def write(self, name, text, mode=0o600):
        path = self.sg.write(name, text, mode=mode)
        os.chown(path, self.uid, self.uid) if os.getuid() == 0 else None
        return path

    def folder(self, name):
        path = os.path.join(self.sg.cwd, name)
        os.mkdir(path)
        os.chown(path, self.uid, self.uid) if os.getuid() == 0 else None
        return path

    def __call__(self, *command):
        self.process, self.log = self.sg.start(self.profiles, *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                               stderr=subprocess.STDOUT)
        return self

    def __enter__(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None:
                pytest.fail("it ended: " + self.process.stdout.read().decode(errors="replace"))
            time.sleep(0.05)
        self.process.kill()
        pytest.fail("nothing listens: " + self.process.communicate()[0].decode(errors="replace"))

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def stop(self, number=signal.SIGTERM):
        """As a service manager does; returns its status and all that it said."""
        self.process.send_signal(number)
        text, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, text.decode(errors="replace")


def get(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def need(program):
    found = shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin")
    if found is None:
        conftest.cannot(program + " is not installed")
    return found


def test_nginx(sg):
    program = need("nginx")
    service = Service(sg, "nginx", '[Filesystem]\nReadOnly = ["${CWD}/**"]\nReadWrite = ["${CWD}/run/**"]\n'
                                   '[Networking]\nListen = ["tcp:127.0.0.1:PORT"]\n'
                                   '[Misc]\nAcceptMissing = ["idmapped-mounts"]\n')  # for a tmpfs as root's /run: Linux 6.3
    run = service.folder("run")
    service.write("index.html", "a page\n", mode=0o644)
    folders = "".join("%s_temp_path %s/%s;\n" % (name, run, name) for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    service.write("nginx.conf", "daemon off; pid %s/pid; error_log stderr;\nworker_processes 2;\nevents { worker_connections 32; }\n"
                  "http { access_log %s/access.log;\n%s server { listen 127.0.0.1:%d; root %s; } }\n"
                  % (run, run, folders, service.port, sg.cwd))
    with service(program, "-p", sg.cwd, "-c", os.path.join(sg.cwd, "nginx.conf")):
        assert get(service.port, "/index.html") == (200, "a page\n")
        assert get(service.port, "/none")[0] == 404
        with open(os.path.join(run, "pid"), encoding="ascii") as f:
            assert f.read().strip() == "2", "a process id of the world's"
        status, text = service.stop(signal.SIGQUIT)
    assert status == 0, text
    with open(os.path.join(run, "access.log"), encoding="utf-8") as f:
        assert "GET /index.html" in f.read()


def postgres_programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda path: float(path.split("/")[4]))
    if not found:
        conftest.cannot("postgresql is not installed")
    return os.path.dirname(found[-1])


def test_postgres(sg):
    programs, psql = postgres_programs(), need("psql")
    service = Service(sg, "postgres", '[Networking]\nListen = ["tcp:127.0.0.1:PORT"]\n')
    as_user = ["setpriv", "--reuid=%d" % service.uid, "--regid=%d" % service.uid, "--clear-groups", "--"] if os.getuid() == 0 else []
    subprocess.run([*as_user, os.path.join(programs, "initdb"), "-D", ".", "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
                    "--locale=C"], cwd=sg.cwd, check=True, capture_output=True)

    def ask(statement, host="127.0.0.1"):
        return subprocess.run([psql, "-X", "-At", "-h", host, "-p", str(service.port), "-U", "postgres", "-c", statement],
                              capture_output=True, text=True, timeout=PATIENCE, env={"PATH": "/usr/bin", "HOME": sg.home}, check=False)

    with service(os.path.join(programs, "postgres"), "-D", ".", "-h", "127.0.0.1", "-p", str(service.port), "-k", sg.cwd):
        deadline = time.monotonic() + PATIENCE
        while "starting up" in ask("select 1").stderr and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ask("create table t as select generate_series(1, 1000) as a").returncode == 0
        assert ask("select sum(a) from t").stdout == "500500\n"
        assert ask("select count(*) from t", host=sg.cwd).stdout == "1000\n", "by its socket too"
        assert "could not execute command" in ask("copy t to program 'cat'").stderr
        assert "No such file" in ask("copy t from '/etc/hostname'").stderr
        assert "could not access" in ask("load '/var/tmp/evil.so'").stderr
        status, text = service.stop(signal.SIGINT)
    assert status == 0 and "database system is shut down" in text, text


def test_sshd(sg):
    program, ssh = need("sshd"), need("ssh")
    service = Service(sg, "sshd", '[Networking]\nListen = ["tcp:127.0.0.1:PORT"]\n')
    run, user = service.folder("run"), conftest.pwd.getpwuid(service.uid).pw_name
    for key in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(sg.cwd, key)], check=True)
        os.chown(os.path.join(sg.cwd, key), service.uid, service.uid) if os.getuid() == 0 else None
    shutil.copy(os.path.join(sg.cwd, "key"), os.path.join(sg.work, "key"))
    os.chmod(os.path.join(sg.work, "key"), 0o600)
    config = service.write("sshd_config", "Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/key.pub\n"
                           "PidFile %s/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
                           % (service.port, sg.cwd, sg.cwd, run))
    with service(program, "-D", "-e", "-f", config):
        done = subprocess.run([ssh, "-F", "none", "-i", os.path.join(sg.work, "key"), "-p", str(service.port), "-o", "BatchMode=yes",
                               "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-l", user, "127.0.0.1",
                               "id -un; ls /srv /home; cat /etc/shadow; echo more >> %s/key.pub; echo done > /tmp/x && cat /tmp/x" % sg.cwd],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [user, "done"], done.stdout
        for name in ("/srv", "/home", "/etc/shadow"):
            assert name in done.stderr
        assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr
        status, text = service.stop()
    assert status in (0, 255, 143) and "Accepted publickey" in text, (status, text)


class Redis:
    """A client that speaks the protocol's lines."""

    def __init__(self, port):
        self.file = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).makefile("rwb")

    def __call__(self, *words):
        self.file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        self.file.flush()
        line = self.file.readline().decode().rstrip()
        return self.file.read(int(line[1:]) + 2).decode().rstrip() if line[0] == "$" and line != "$-1" else line


def refusals(log):
    with open(log, encoding="utf-8") as f:
        return [record for record in map(json.loads, filter(lambda line: line.endswith("\n"), f)) if record["kind"] == "refusal"]


def test_redis(sg):
    program = need("redis-server")
    service = Service(sg, "redis", '[Networking]\nListen = ["tcp:127.0.0.1:PORT"]\n')
    home = os.path.join(sg.home, ".ssh")
    os.mkdir(home)
    os.chown(home, service.uid, service.uid) if os.getuid() == 0 else None
    with service(program, "--bind", "127.0.0.1", "--port", str(service.port), "--enable-protected-configs", "yes", "--enable-module-command", "yes",
                 "--save", "", "--appendonly", "yes"):
        ask = Redis(service.port)
        assert ask("SET", "name", "value") == "+OK" and ask("GET", "name") == "value"
        assert ask("SAVE") == "+OK" and ask("BGREWRITEAOF").startswith("+Background")
        # The ways by which servers of Redis were taken over.
        assert "No such file" in ask("CONFIG", "SET", "dir", home)
        assert "Error loading the extension" in ask("MODULE", "LOAD", "/var/tmp/evil.so")
        assert ask("CONFIG", "SET", "dbfilename", "authorized_keys") == "+OK" and ask("SAVE") == "+OK"
        ask("REPLICAOF", "10.0.0.1", "6379")
        deadline = time.monotonic() + PATIENCE
        while not any(r["object"].startswith("tcp:10.0.0.1") for r in refusals(service.log)) and \
                time.monotonic() < deadline:
            time.sleep(0.05)
        assert time.monotonic() < deadline, "it asks a stranger for his data, and is refused"
        status, text = service.stop()
    assert status == 0 and "ready to exit" in text, text
    assert os.listdir(home) == [] and {"dump.rdb", "authorized_keys", "appendonlydir"} <= set(os.listdir(sg.cwd))


def test_backup(sg):
    old, kept = os.path.join(sg.cwd, "old"), os.path.join(sg.cwd, "old", "monday.tar")
    os.mkdir(old)
    sg.write("old/monday.tar", "monday\n")
    for path in (sg.cwd, old):
        os.chown(path, sg.uid, sg.uid) if os.getuid() == 0 else None
    profile = os.path.join(ROOT, "gallery", "backup.toml")
    done = sg.run(profile, need("tar"), "-C", "/", "-cf", "today.tar", "etc/hostname", "usr/share/doc/tar")
    assert done.status == 0, done.stderr
    names = subprocess.run(["tar", "-tf", os.path.join(sg.cwd, "today.tar")], capture_output=True, text=True, check=True).stdout
    assert "etc/hostname\n" in names and "usr/share/doc/tar/" in names
    done = sg.shell(profile, "rm -rf old; echo x >>old/monday.tar; mv old older; echo x >>/etc/hostname; cp today.tar /srv/x; curl -m 5 -s http://10.0.0.1/; echo $?")
    assert done.stdout == "7\n", done.stdout + done.stderr
    with open(kept, encoding="ascii") as f:
        assert f.read() == "monday\n"
    assert not os.path.exists("/srv/x")


AGENT = """
import glob, http.server, sys, threading
FILES = ["/proc/stat", "/proc/meminfo", "/proc/diskstats", "/proc/interrupts", "/proc/swaps", "/proc/net/dev", "/sys/class/net/lo/mtu", "/etc/os-release"]
FILES += glob.glob("/proc/pressure/*")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        lines = []
        for name in FILES + ["/etc/shadow", "/proc/kcore"]:
            try:
                with open(name, "rb") as file:
                    lines.append("%s %d" % (name, len(file.read(100)) > 0))
            except OSError:
                lines.append(name + " refused")
        body = "\\n".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_monitoring_agent(sg):
    """A program that reads what such an agent reads, in the place of one that would listen on the host as soon as it is installed."""
    service = Service(sg, "monitoring-agent", '[Networking]\nListen = ["tcp:127.0.0.1:PORT"]\n'
                                              '[Filesystem]\nReadOnly = ["/usr/lib/python3*/**", "/usr/share/**", "${CWD}/**"]\nExec = ["/usr/bin/python3*"]\n')
    service.write("agent.py", AGENT)
    with service("/usr/bin/python3", "agent.py", str(service.port)):
        status, text = get(service.port, "/metrics")
        told = dict(line.split(" ") for line in text.splitlines())
        service.stop()
    assert status == 200 and told.pop("/etc/shadow") == told.pop("/proc/kcore") == "refused", text
    assert len(told) >= 8 and set(told.values()) == {"1"}, text


SERVICE = """
import http.server, os, sqlite3, subprocess, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = []
        for attempt in (lambda: os.system("true"), lambda: subprocess.run(["/bin/sh", "-c", "true"]), lambda: open(__file__, "a"),
                        lambda: open("/etc/shadow"), lambda: os.memfd_create("x")):
            try:
                found.append("done" if attempt() not in (-1, 32512) else "refused")
            except OSError:
                found.append("refused")
        data = sqlite3.connect("data/db.sqlite")
        data.execute("create table if not exists t (a)")
        data.execute("insert into t values (1)")
        data.commit()
        found.append(str(data.execute("select count(*) from t").fetchone()[0]))
        body = " ".join(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
import signal
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
print("stopped")
"""


def test_python_service(sg):
    service = Service(sg, "python-service", '[Networking]\nListen = ["tcp:127.0.0.1:PORT"]\n')
    service.folder("data")
    service.write("service.py", SERVICE)
    with service("/usr/bin/python3", "service.py", str(service.port)):
        assert get(service.port) == (200, "refused refused refused refused refused 1")
        assert get(service.port) == (200, "refused refused refused refused refused 2")
        status, text = service.stop()
    assert status == 0 and "stopped" in text, (status, text)


BUILD = """
const fs = require('fs'), http = require('http'), { execFileSync } = require('child_process'), { Worker } = require('worker_threads');
const refused = [];
for (const [name, attempt] of Object.entries({
  env: () => fs.readFileSync('.env'), hook: () => fs.writeFileSync('.git/hooks/pre-commit', 'x'), home: () => fs.readFileSync(process.argv[2]),
  shadow: () => fs.readFileSync('/etc/shadow') })) {
  try { attempt(); } catch (error) { refused.push(name); }
}
fs.mkdirSync('dist');
new Worker("require('fs').writeFileSync('dist/worker.js', 'w')", { eval: true }).on('exit', () => {
  fs.writeFileSync('dist/main.js', execFileSync('./node_modules/.bin/tool', ['made']));
  http.get({ host: '10.0.0.1', port: 80, timeout: 5000 }).on('error', error => {
    console.log([...refused, error.code === undefined ? 'open' : 'network'].join(' '));
  });
});
"""


def test_node_build(sg):
    program = need("node")
    service = Service(sg, "node-build")
    secret = sg.write("secret", "s\n", folder=sg.home)
    for folder in (".git", ".git/hooks", "node_modules", "node_modules/.bin"):
        service.folder(folder)
    service.write("node_modules/.bin/tool", "#!/bin/sh\necho $1 by a tool\n", mode=0o700)
    service.write(".env", "SECRET=1\n")
    service.write("build.js", BUILD)
    process = service(program, "build.js", secret).process
    text, _ = process.communicate(timeout=PATIENCE * 2)
    assert process.returncode == 0 and text.decode().split("\n")[-2] == "env hook home shadow network", text.decode()
    with open(os.path.join(sg.cwd, "dist", "main.js"), encoding="ascii") as f:
        assert f.read() == "made by a tool\n"
    assert sorted(os.listdir(os.path.join(sg.cwd, "dist"))) == ["main.js", "worker.js"]
    assert os.listdir(os.path.join(sg.cwd, ".git", "hooks")) == []
