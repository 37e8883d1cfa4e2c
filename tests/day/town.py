"""A town of servers: what a person reaches by name all day, on another host as far as this one can tell.

Two network namespaces joined by a cable: `near` is the host that people work on, `far` is the internet. In `far` stand a
name server for *.test, a web server over TLS and one without, git over its own protocol and over ssh, and PostgreSQL. Each
server is started when a test first asks for it, and all end with the test run. The servers see the same /etc as the
programs of the day: that is where the user that they run as, and that people log in as, has a home and a shell.
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PYTHON = "/usr/bin/python3"
NEAR, FAR = "10.77.0.9", "10.77.0.1"
TIMEOUT = 60

NAME_SERVER = r"""
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 53))
while True:
    data, peer = s.recvfrom(4096)
    name, at = [], 12
    while data[at]:
        name.append(data[at + 1:at + 1 + data[at]]); at += 1 + data[at]
    kind = struct.unpack("!H", data[at + 1:at + 3])[0]
    known = name[-1].lower() == b"test" and name[0].lower() != b"nowhere"
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(sys.argv[1]) if kind == 1 and known else b""
    s.sendto(data[:2] + (b"\x81\x80" if known else b"\x81\x83") + struct.pack("!HHHH", 1, 1 if answer else 0, 0, 0) + data[12:at + 5] + answer, peer)
"""

WEB_SERVER = r"""
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, body):
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_GET(self): self.answer(b"x" * 3000000 if self.path == "/big" else ("page %s\n" % self.path).encode())
    def do_POST(self): self.answer(b"took %d bytes\n" % len(self.rfile.read(int(self.headers["Content-Length"]))))
    def log_message(self, *_): pass
web = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(sys.argv[3], sys.argv[4])
    web.socket = context.wrap_socket(web.socket, server_side=True)
web.serve_forever()
"""


def run(*command, **kwargs):
    return subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT, **kwargs)


class Town:
    def __init__(self, etc, user):
        self.etc, self.user = etc, user
        self.folder = tempfile.mkdtemp(prefix="sg-town-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.started, self.processes = set(), []
        try:
            self.near, self.far = self.namespace(), self.namespace()
            self.join()
            self.start("names", 53, PYTHON, self.script("names.py", NAME_SERVER), FAR, kind=socket.SOCK_DGRAM)
            with open(os.path.join(etc, "resolv.conf"), "w", encoding="ascii") as f:
                f.write("nameserver %s\noptions timeout:5\n" % FAR)
        except BaseException:
            self.close()
            raise

    # --- the two hosts ---

    def namespace(self):
        """The id of a process that does nothing but hold a network namespace of its own."""
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
                                  stdout=subprocess.PIPE)
        self.processes.append(holder)
        assert holder.stdout.readline() == b"up\n"
        return holder.pid

    def join(self):
        enter = ["nsenter", "--net=/proc/%d/ns/net" % self.near, "ip"]
        run(*enter, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(self.far))
        for pid, address in ((self.near, NEAR), (self.far, FAR)):
            enter[1] = "--net=/proc/%d/ns/net" % pid
            run(*enter, "addr", "add", address + "/24", "dev", "cable")
            run(*enter, "link", "set", "cable", "up")

    def script(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def start(self, name, port, *command, kind=socket.SOCK_STREAM, user=None):
        """A server in `far`, in a mount namespace with the /etc of the day; returns when it listens."""
        if name in self.started:
            return
        as_user = ["setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups", "--"] if user else []
        mounts = ("set -e; mount --bind '{0}' /etc; mount -t tmpfs -o mode=0755 none /run; mkdir -p /run/sshd; "
                  "mount -t tmpfs -o mode=0755 none /home; mkdir /home/{1}; chown {1} /home/{1}; exec \"$@\"").format(self.etc, self.user)
        log = open(os.path.join(self.folder, name + ".log"), "wb")
        self.processes.append(subprocess.Popen(["nsenter", "--net=/proc/%d/ns/net" % self.far, "unshare", "--mount", "sh", "-c", mounts, "sh"] +
                                               as_user + list(command), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                                               start_new_session=True))
        log.close()
        self.wait_for(name, port, kind)
        self.started.add(name)

    def wait_for(self, name, port, kind):
        table = "tcp" if kind == socket.SOCK_STREAM else "udp"
        wanted = (":%04X" % port, "0A" if table == "tcp" else "07")
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline and self.processes[-1].poll() is None:
            with open("/proc/%d/net/%s" % (self.far, table), encoding="ascii") as f:
                if any(row[1].endswith(wanted[0]) and row[3] == wanted[1] for row in map(str.split, f)):
                    return
            time.sleep(0.02)
        with open(os.path.join(self.folder, name + ".log"), encoding="utf-8", errors="replace") as f:
            raise AssertionError("the server %r does not listen: %s" % (name, f.read()[-2000:]))

    # --- the servers ---

    def web(self):
        """https://web.test and http://web.test. Returns the certificate of their authority (PEM)."""
        authority = os.path.join(self.folder, "authority.pem")
        if "https" not in self.started:
            key, request, own = (os.path.join(self.folder, n) for n in ("authority.key", "web.csr", "web.pem"))
            curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            run("openssl", "req", "-x509", *curve, "-days", "2", "-subj", "/CN=Town authority", "-keyout", key, "-out", authority)
            run("openssl", "req", *curve, "-subj", "/CN=web.test", "-addext", "subjectAltName=DNS:web.test", "-keyout", own + ".key", "-out", request)
            run("openssl", "x509", "-req", "-in", request, "-CA", authority, "-CAkey", key, "-CAcreateserial", "-days", "2", "-copy_extensions",
                "copy", "-out", own)
            script = self.script("web.py", WEB_SERVER)
            self.start("https", 443, PYTHON, script, FAR, "443", own, own + ".key")
            self.start("other", 8443, PYTHON, script, FAR, "8443", own, own + ".key")
            self.start("http", 80, PYTHON, script, FAR, "80")
        with open(authority, encoding="ascii") as f:
            return f.read()

    def repository(self, name):
        """An empty repository that the servers of git give; returns its folder."""
        path = os.path.join(self.folder, "git", name)
        run("git", "init", "-q", "--bare", "-b", "main", path, env={"PATH": os.environ["PATH"], "HOME": self.folder})
        run("chown", "-R", self.user, os.path.join(self.folder, "git"))
        return path

    def git(self):
        """git://forge.test/NAME, for reading and writing."""
        base = os.path.join(self.folder, "git")
        os.makedirs(base, exist_ok=True)
        self.start("git", 9418, "git", "daemon", "--export-all", "--enable=receive-pack", "--listen=" + FAR, "--base-path=" + base,
                   user=self.user)

    def ssh(self):
        """USER@forge.test. Returns (the text of a key that opens it, the line of known_hosts)."""
        keys = [os.path.join(self.folder, n) for n in ("ssh_host", "ssh_user")]
        if "ssh" not in self.started:
            for key in keys:
                run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "day", "-f", key)
            shutil.copy(keys[1] + ".pub", os.path.join(self.folder, "authorized"))
            config = self.script("sshd_config", "Port 22\nListenAddress %s\nHostKey %s\nAuthorizedKeysFile %s/authorized\nStrictModes no\n"
                                 "UsePAM no\nPidFile none\nPasswordAuthentication no\nUseDNS no\nMaxStartups 50\nSubsystem sftp internal-sftp\n" % (FAR, keys[0], self.folder))
            self.start("ssh", 22, "/usr/sbin/sshd", "-D", "-e", "-f", config)
        with open(keys[1], encoding="ascii") as key, open(keys[0] + ".pub", encoding="ascii") as host:
            return key.read(), "forge.test " + " ".join(host.read().split()[:2]) + "\n"

    def postgres(self, names):
        """db.test:5432, and the socket .s.PGSQL.5432 in the folder that is returned; `names` may log in. Over the socket the
        first of them must be who they say: the kernel's word for it is asked."""
        folder = os.path.join(self.folder, "postgres")
        sockets = os.path.join(folder, "run")
        if "postgres" in self.started:
            return sockets
        programs = newest_postgres()
        os.makedirs(sockets)
        run("chown", "-R", self.user, folder)
        as_user = ["setpriv", "--reuid=" + self.user, "--regid=" + self.user, "--clear-groups", "--"]
        data = os.path.join(folder, "data")
        run(*as_user, os.path.join(programs, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8",
            cwd="/", env={"PATH": "/usr/bin:/bin"})
        with open(os.path.join(data, "pg_hba.conf"), "w", encoding="ascii") as f:
            f.write("local all %s peer\nlocal all all trust\nhost all all %s/24 trust\n" % (names[0], NEAR))
        self.start("postgres", 5432, os.path.join(programs, "postgres"), "-D", data, "-k", sockets, "-h", FAR, "-c", "fsync=off",
                   "-c", "unix_socket_permissions=0777", "-c", "dynamic_shared_memory_type=mmap", user=self.user)
        self.wait_until_ready(os.path.join(programs, "pg_isready"), sockets)
        for name in names:
            run("psql", "-h", sockets, "-U", "postgres", "-c", 'create role "%s" login superuser' % name)
        run("psql", "-h", sockets, "-U", "postgres", "-c", "create database day")
        return sockets

    @staticmethod
    def wait_until_ready(program, sockets):
        deadline = time.monotonic() + TIMEOUT
        while subprocess.run([program, "-q", "-h", sockets], check=False).returncode != 0:
            assert time.monotonic() < deadline, "PostgreSQL takes no connections"
            time.sleep(0.05)

    def log(self, name):
        with open(os.path.join(self.folder, name + ".log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def close(self):
        for process in reversed(self.processes):
            try:
                os.killpg(process.pid, signal.SIGTERM) if process.pid == os.getpgid(process.pid) else process.terminate()
            except ProcessLookupError:
                pass
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def newest_postgres():
    """The folder of PostgreSQL's programs, where Debian puts them, or None."""
    base = "/usr/lib/postgresql"
    versions = sorted((v for v in os.listdir(base) if os.path.exists(os.path.join(base, v, "bin/postgres"))), key=float) if os.path.isdir(base) else []
    return os.path.join(base, versions[-1], "bin") if versions else None
