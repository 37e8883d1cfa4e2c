"""learn with servers and clients that people run: started, used, reloaded and stopped under the learned profile; then, for each
flag that it does not grant, one probe that is refused."""
import glob
import os
import pwd
import re
import shutil
import socket
import subprocess
import textwrap
import time

import pytest

from conftest import USER, cannot
from test_learn import CALL, PROBES, PYTHON, values

# The interpreter of the probes, beside the learned profile.
WITH_PYTHON = '[Filesystem]\nExec = ["/usr/bin/python3*"]\n'


def need(program):
    path = shutil.which(program, path="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        cannot("%s is not installed" % program)
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def granted(text):
    """The flags of a proposal."""
    return {flag for line in re.findall(r"^Flags *= \[(.*)\]$", text, re.M) for flag in re.findall(r'"([^"]*)"', line)}


def learn_and_use(sg, script, expect, options=()):
    """Learns the script of sh, then runs it under what was learned: the same output. Returns the profile, and its text."""
    sg.count += 1
    path = os.path.join(sg.cwd, "learned%d.toml" % sg.count)
    command = ["/bin/sh", "-c", script]
    done = sg.cli("learn", *options, "--replay", "-o", path, "--", *command)
    assert done.returncode == 0 and expect in done.stdout, done.stdout + done.stderr
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert sg.cli("check", path).returncode == 0
    used = sg.run(path, *command)
    assert used.status == 0 and expect in used.stdout, (text, used.stdout, used.stderr, used.refusals())
    assert '"/**"' not in text and '"~/**"' not in text and '"${CWD}/**"' not in text, text
    return path, text


REST = CALL + """
import sys
for flag, probe in %r.items():
    try:
        exec(probe)
    except BaseException:
        continue
    print(flag, flush=True)
print("end")
"""


def refuse_the_rest(sg, path, text):
    """One probe for each flag that was not granted: each fails. What a proposal grants beyond its flags, a socket file say, is no flag.
    Returns how many there were."""
    sg.write("tool", "x")
    have = granted(text)
    assert "start" in have and "outgoing" not in have and "incoming" not in have, text
    rest = {flag: probe for flag, probe in PROBES.items() if flag not in have}
    done = sg.run([path, WITH_PYTHON], PYTHON, "-c", REST % rest)
    assert done.status == 0 and done.stdout == "end\n", (text, done.stdout, done.stderr)
    return len(rest)


def for_a_user(sg):
    """A service that root starts runs as somebody else, and the folder is theirs. Returns the options of learn for that."""
    if sg.who != "root":
        return []
    owner = pwd.getpwnam(USER).pw_uid
    for folder, _, files in os.walk(sg.cwd):
        for path in [folder] + [os.path.join(folder, name) for name in files]:
            os.chown(path, owner, owner)
    return ["-p", sg.profile('[User]\nAs = "%s"\n' % USER)]


def test_nginx(sg):
    need("nginx")
    port = free_port()
    sg.write("www/index.html", "a page\n")
    sg.write("logs/error.log", "")
    sg.write("nginx.conf", textwrap.dedent("""
        worker_processes 2; pid nginx.pid; error_log logs/error.log; daemon off;
        events { worker_connections 64; }
        http {
            access_log logs/access.log;
            client_body_temp_path temp/body; proxy_temp_path temp/proxy; fastcgi_temp_path temp/fastcgi;
            uwsgi_temp_path temp/uwsgi; scgi_temp_path temp/scgi;
            server { listen 127.0.0.1:%d; root www; }
        }
    """ % port))
    os.mkdir(os.path.join(sg.cwd, "temp"))
    for name in ("www", "logs", "temp"):
        if os.getuid() == 0:
            os.chown(os.path.join(sg.cwd, name), sg.uid, sg.uid)
    options = for_a_user(sg)
    script = textwrap.dedent("""
        nginx="nginx -p $PWD/ -c nginx.conf -e logs/error.log"
        get() { i=0; until curl -sf http://127.0.0.1:%d/; do i=$((i+1)); test $i -lt 200 || exit 9; sleep 0.05; done; }
        $nginx & get
        $nginx -s reload && get && $nginx -s quit
        wait $! && echo stopped
    """ % port)
    path, text = learn_and_use(sg, script, "a page\na page\nstopped\n", options=options)
    assert values(text, "Listen") == ["tcp:127.0.0.1:%d" % port], text
    assert "${CWD}/www/index.html" in values(text, "ReadOnly"), text
    assert refuse_the_rest(sg, path, text) > 10
    # Another file of the same server is not there, and neither is another port.
    sg.write("www/other.html", "another page\n")
    other = sg.run(path, "/bin/sh", "-c", script.replace("/;", "/other.html;", 1).replace("-lt 200", "-lt 3"))
    assert "another page" not in other.stdout


def test_postgresql(sg):
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not programs:
        cannot("postgresql is not installed")
    port = free_port()
    options = for_a_user(sg)
    as_user = ["setpriv", "--reuid=" + USER, "--regid=" + USER, "--clear-groups", "--"] if os.getuid() == 0 else []
    subprocess.run(as_user + [programs[-1] + "/initdb", "-D", sg.cwd + "/data", "-A", "trust", "-U", "me"], check=True,
                   capture_output=True, cwd=sg.cwd)
    script = textwrap.dedent("""
        set -e
        server="%s/pg_ctl -D data -l log"
        $server -o "-k $PWD -p %d -c listen_addresses=127.0.0.1" -w start > /dev/null
        psql="psql -X -At -U me -p %d postgres -h"
        $psql 127.0.0.1 -c 'create table t (a int)' -c 'insert into t select generate_series(1, 1000)'
        $psql "$PWD" -c 'select sum(a) from t' -c 'drop table t' -c 'checkpoint'
        $server reload > /dev/null
        $psql 127.0.0.1 -c 'select 6 * 7'
        $server -m fast -w stop > /dev/null
        echo stopped
    """ % (programs[-1], port, port))
    path, text = learn_and_use(sg, script, "500500\nDROP TABLE\nCHECKPOINT\n42\nstopped\n", options=options)
    assert values(text, "Listen") == ["tcp:127.0.0.1:%d" % port], text
    assert "${CWD}/data/**" in values(text, "ReadWrite"), text
    assert ('As = "%s"' % USER in text) == (sg.who == "root")
    assert refuse_the_rest(sg, path, text) > 8


@pytest.fixture
def daemon(sg):
    """A repository behind git's own protocol, on this host's loopback: its port."""
    need("git")
    tree = os.path.join(sg.work, "serve")
    port = free_port()
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", HOME=sg.home)
    run = lambda *command: subprocess.run(command, check=True, capture_output=True, env=env)  # noqa: E731
    run("git", "init", "-q", "-b", "main", tree + "/src")
    for i in range(30):
        sg.write("d%d/f%d" % (i % 4, i), "file %d\n" % i, folder=tree + "/src")
    if os.getuid() == 0:
        run("chown", "-R", "0:0", tree)
    run("git", "-C", tree + "/src", "add", ".")
    run("git", "-C", tree + "/src", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first")
    run("git", "clone", "-q", "--bare", tree + "/src", tree + "/repo.git")
    server = subprocess.Popen(["git", "daemon", "--export-all", "--base-path=" + tree, "--listen=127.0.0.1", "--port=%d" % port, tree],
                              env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < deadline and server.poll() is None, "git daemon does not listen"
            time.sleep(0.02)
    yield port
    os.killpg(server.pid, 15)
    server.wait(30)


def test_git_clone(sg, daemon):
    script = "rm -rf clone && git clone -q git://127.0.0.1:%d/repo.git clone && cat clone/d1/f1 && git -C clone log --format=%%s" % daemon
    path, text = learn_and_use(sg, script, "file 1\nfirst\n")
    assert values(text, "Allow") == ["tcp:127.0.0.1:%d" % daemon], text
    assert "${CWD}/clone*/{,**}" in values(text, "ReadWrite"), text
    assert refuse_the_rest(sg, path, text) > 10
    # Elsewhere to write, and elsewhere to connect to.
    assert sg.run(path, "/bin/sh", "-c", script.replace("clone", "other").replace("git other", "git clone")).status != 0
    assert sg.run(path, "/bin/sh", "-c", script.replace("127.0.0.1", "127.0.0.2")).status != 0


SERVER_PY = """
import http.server, signal, sys, threading
words = [open("words.txt").read()]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open("hits.log", "a").write("hit\\n")
        self.send_response(200); self.end_headers(); self.wfile.write(words[0].encode())
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
signal.signal(signal.SIGHUP, lambda *_: words.__setitem__(0, "reloaded " + open("words.txt").read()))
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
print("stopped")
"""

SERVER_JS = """
const fs = require('fs'), http = require('http');
let words = fs.readFileSync('words.txt', 'utf8');
const server = http.createServer((q, r) => fs.appendFile('hits.log', 'hit\\n', () => r.end(words)));
process.on('SIGHUP', () => { words = 'reloaded ' + fs.readFileSync('words.txt', 'utf8'); });
process.on('SIGTERM', () => server.close(() => console.log('stopped')));
server.keepAliveTimeout = 1;
server.listen(Number(process.argv[2]), '127.0.0.1');
"""

SERVE = """
%s & server=$!
get() { i=0; until curl -sf http://127.0.0.1:%d/; do i=$((i+1)); test $i -lt 200 || exit 9; sleep 0.05; done; }
get
kill -HUP $server
i=0; until get | grep reloaded; do i=$((i+1)); test $i -lt 200 || exit 8; sleep 0.05; done
kill -TERM $server
wait $server
"""


@pytest.mark.parametrize("program, name, text", [("python3", "server.py", SERVER_PY), ("node", "server.js", SERVER_JS)],
                         ids=["python", "node"])
def test_a_server(sg, program, name, text):
    need(program)
    need("curl")
    port = free_port()
    sg.write(name, text)
    sg.write("words.txt", "some words\n")
    sg.write("hits.log", "")
    path, proposal = learn_and_use(sg, SERVE % ("/usr/bin/%s %s %d" % (program, name, port), port),
                                   "some words\nreloaded some words\nstopped\n")
    assert values(proposal, "Listen") == ["tcp:127.0.0.1:%d" % port], proposal
    assert ("jit" in granted(proposal)) == (program == "node")
    assert "${CWD}/hits.log" in values(proposal, "ReadWrite"), proposal
    assert refuse_the_rest(sg, path, proposal) > 8
