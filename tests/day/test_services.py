"""Work with servers: by name, under the shipped profile `developer`, each step beside the same without ShellGuard, then its
refused twin with the reason and the record. The servers are those of town.py."""
import os
import re
import shutil

import pytest
from conftest import live, need
from terminal import CTRL_D
from town import FAR, newest_postgres

ROWS = 1000000


# --- PostgreSQL ---

@pytest.fixture
def database(day, town):
    need("psql")
    if newest_postgres() is None:
        live.cannot("postgresql is not installed")
    day.sockets = town.postgres([live.USER, "root"])
    # Where psql looks when nobody names a place.
    day.setup.append("mount -t tmpfs -o mode=0755 none /run; mkdir /run/postgresql; mount --bind '%s' /run/postgresql" % day.sockets)
    day.file("load.sql", "drop table if exists big;\ncreate table big (id int, word text);\n"
             "\\copy big from 'in.csv' csv\nselect count(*), sum(id), max(word) from big;\n"
             "\\copy (select id + 1, word from big order by id) to 'out.csv' csv\n"
             "begin;\ndelete from big where id % 2 = 0;\nselect count(*) from big;\nrollback;\nselect count(*) from big;\n"
             "copy (select sum(id) from big) to stdout;\ndrop table big;\n")
    return day


def million(day):
    with open(day.file("in.csv", ""), "w", encoding="ascii") as f:
        f.writelines("%d,word %d\n" % (i, i % 1000) for i in range(ROWS))


LOADED = "COPY %d\n%d|%d|word 999\nCOPY %d\nBEGIN\nDELETE %d\n%d\nROLLBACK\n%d\n%d\nDROP TABLE\n" % (
    ROWS, ROWS, ROWS * (ROWS - 1) // 2, ROWS, ROWS // 2, ROWS // 2, ROWS, ROWS * (ROWS - 1) // 2)
WAYS = [("host=db.test", "tcp:db.test:5432"), ("host=/var/run/postgresql", "unix:/run/postgresql/.s.PGSQL.5432")]


@pytest.mark.parametrize("where, rule", WAYS, ids=["tcp", "unix"])
def test_psql(database, where, rule):
    """A million rows in and out, over the network and over the socket of this host."""
    day = database
    million(day)
    script = "psql -X -A -t -U %s '%s dbname=day' -f load.sql && cksum < out.csv; whoami" % (day.name, where)
    without = day.outside(script)
    os.unlink(day.seen(os.path.join(day.project, "out.csv")))
    within = day.inside(script, options=["--allow", rule])
    assert (within.status, within.stdout) == (without.status, without.stdout), within.stderr + without.stderr
    assert LOADED in within.stdout, within.stdout + within.stderr
    assert within.refusals() == [] and [r for r in within.of("grant", operation="connect to") if "5432" in r["object"]]


@pytest.mark.parametrize("where, rule", WAYS, ids=["tcp", "unix"])
def test_psql_is_refused(database, where, rule):
    """Without the rule: the person is told why, the record has it, and `why` names the rule that would allow it."""
    day = database
    script = "psql -X -A -t -U %s '%s dbname=day' -c 'select 1'" % (day.name, where)
    assert day.outside(script).stdout == "1\n"
    done = day.inside(script)
    assert done.status == 2 and done.stdout == ""
    found = [r for r in done.refusals() if "5432" in r["object"]]
    assert found and found[0]["operation"] == "connect to", (done.records, done.stderr)
    assert found[0]["reason"].startswith("no rule allows")
    assert re.search(r"^shellguard: psql may not connect to \S*5432: no rule allows", day.told(script), re.M)
    said = day.cli("why", "--session", done.log).stdout
    proposed = re.search(r'^  Allow = \["(.*)"\]$', said, re.M).group(1)
    again = day.inside(script, options=["--allow", proposed])
    assert (again.status, again.stdout) == (0, "1\n"), (proposed, again.stderr)


def test_psql_at_a_terminal(database, both_ways):
    need("less")
    day = database
    options = {"options": ["--allow", "tcp:db.test:5432"]} if both_ways else {}
    with day.terminal("/usr/bin/psql", "-X", "-U", day.name, "host=db.test dbname=day", guarded=both_ways, env={"PAGER": "less"}, **options) as t:
        t.expect(r"day=# $")
        t.line("select 6 * 7 as answer;")
        t.expect(r"^ +42$")
        t.expect(r"day=# $")
        t.line("select g from generate_series(1, 5000) g;")
        t.expect(r"^:$")
        t.send("G")
        t.expect(r"\(5000 rows\)")
        t.send("q")
        t.expect(r"day=# $")
        t.line("\\! echo shell $((20 + 3))")
        t.expect(r"^shell 23$")
        t.expect(r"day=# $")
        t.send(CTRL_D)
        assert t.wait() == 0


# --- git and ssh ---

STORY = ("export GIT_AUTHOR_DATE='2024-01-01 00:00:00 +0000' GIT_COMMITTER_DATE='2024-01-01 00:00:00 +0000'; "
         "git clone -q %s one 2>&1 && cd one && for i in 1 2 3; do echo $i > f$i; done && git add . && git commit -q -m first && "
         "git push -q origin HEAD:main 2>&1 && cd .. && git clone -q %s two && ls two && echo 4 >> two/f1 && git -C two commit -q -a -m second && "
         "git -C two push -q && git -C one pull -q --rebase origin main && git -C one log --format='%%h %%an %%s' && cat one/f1")


def tell(day, town, address, options=()):
    """The story on an empty repository, outside and inside; the same words, and the same repository at the end."""
    told = []
    for guarded in (False, True):
        path = town.repository("story")
        script = STORY % (address, address)
        done = day.inside(script, options=options) if guarded else day.outside(script)
        told.append((done.status, done.stdout, day.outside("git ls-remote '%s'" % address).stdout))
        shutil.rmtree(path)
        for name in ("one", "two"):
            shutil.rmtree(day.seen(os.path.join(day.project, name)), ignore_errors=True)
        assert done.status == 0 and "Day second" in done.stdout, done.stdout + done.stderr + town.log("git" if "git:" in address else "ssh")
    assert told[0] == told[1] and "refs/heads/main" in told[0][2]
    return done


def test_git_over_its_own_protocol(day, town):
    town.git()
    done = tell(day, town, "git://forge.test/story")
    assert done.of("grant", operation="connect to", object="tcp:%s:9418" % FAR) and done.refusals() == []
    # The refused twin: the same under the profile without a network.
    town.repository("twin")
    twin = day.inside("git clone -q git://forge.test/twin", profile="offline")
    assert twin.status == 128 and "Could not resolve" not in day.outside("git clone -q git://forge.test/twin outside").stderr
    assert not os.path.exists(day.seen(os.path.join(day.project, "twin")))


@pytest.fixture
def key(day, town):
    """A key in the user's home that opens forge.test, and what ssh knows about that host."""
    need("ssh")
    need("sshd")
    text, known = town.ssh()
    folder = day.make(os.path.join(day.real_home, ".ssh"))
    os.chmod(folder, 0o700)
    for name, words, mode in (("id_day", text, 0o600), ("known_hosts", known, 0o644),
                              ("config", "Host forge.test\n  User %s\n  IdentityFile ~/.ssh/id_day\n  IdentitiesOnly yes\n" % live.USER, 0o644)):
        day.file(os.path.join(day.real_home, ".ssh", name), words, mode)
    return ["--ro", "~/.ssh/id_day", "--ro", "~/.ssh/known_hosts", "--ro", "~/.ssh/config"]


def test_git_over_ssh(day, town, key):
    address = "ssh://forge.test%s/git/story" % town.folder
    done = tell(day, town, address, options=key)
    assert done.of("grant", operation="connect to", object="tcp:%s:22" % FAR) and done.refusals() == []
    # The refused twin: the profile as it is shipped holds no keys, so the server knows nobody.
    town.repository("twin")
    twin = day.inside("git -c core.sshCommand='ssh -o StrictHostKeyChecking=accept-new -o BatchMode=yes' clone -q ssh://%s@forge.test%s/git/twin; "
                      "ls -A ~/.ssh" % (live.USER, town.folder))
    assert "Permission denied (publickey" in twin.stderr and "id_day" not in twin.stdout
    assert not os.path.exists(day.seen(os.path.join(day.project, "twin")))


def test_ssh(day, town, key):
    day.file("words", "".join("word %d\n" % i for i in range(20000)))
    script = ("ssh forge.test 'whoami; exit 3'; echo $?; ssh forge.test 'sort -r | cksum' < words; ssh -T forge.test 'seq 1 100000' | cksum; "
              "sftp -q -b - forge.test <<!\nput words %s/put\nget %s/put back\nrm %s/put\n!\ncmp words back && echo same")
    place = os.path.join(town.folder, "put")
    os.mkdir(place)
    os.chmod(place, 0o777)
    done = both_with(day, script % (place, place, place), key)
    os.rmdir(place)
    assert done.stdout.startswith(live.USER + "\n3\n") and done.stdout.endswith("same\n"), done.stdout + done.stderr
    # The refused twin: another port of the same host.
    twin = day.inside("ssh -p 2222 forge.test true", options=key)
    assert twin.status == 255
    assert twin.refusals("tcp:%s:2222" % FAR)[0]["reason"].startswith("no rule allows this address"), twin.records
    seen = day.told("ssh -p 2222 forge.test true", options=key)
    assert re.search(r"^shellguard: ssh may not connect to tcp:%s:2222: no rule allows" % FAR, seen, re.M), seen


def both_with(day, script, options):
    without = day.outside(script)
    within = day.inside(script, options=options)
    assert (within.status, within.stdout) == (without.status, without.stdout), within.stderr + without.stderr
    return within


def test_ssh_at_a_terminal(day, town, key, both_ways):
    options = {"options": key} if both_ways else {}
    with day.terminal("/usr/bin/ssh", "-t", "forge.test", "bash --norc", guarded=both_ways, rows=33, columns=99, **options) as t:
        t.expect(r"[$#] $")
        t.line("stty size; tty | cut -c 1-8")
        t.expect(r"^33 99$")
        t.expect(r"^/dev/pts$")
        t.resize(40, 100)
        t.line("until [ \"$(stty size)\" = '40 100' ]; do :; done; echo resi\"\"zed")
        t.expect(r"^resized$")
        t.line("exit 5")
        assert t.wait() == 5


def test_no_agent_comes_along(day, town, key):
    """The agent of the user would sign for whoever asks: its socket is not told, and cannot be reached by its name."""
    need("ssh-agent")
    agent = day.outside("cd ~ && eval \"$(ssh-agent -a ~/agent)\" >/dev/null && ssh-add -q ~/.ssh/id_day && ssh-add -l; echo $SSH_AGENT_PID")
    pid = int(agent.stdout.split()[-1])
    try:
        assert "(ED25519)" in agent.stdout
        place = os.path.join(day.real_home, "agent")
        assert "(ED25519)" in day.outside("ssh-add -l", env={"SSH_AUTH_SOCK": place}).stdout
        inside = day.inside("echo [$SSH_AUTH_SOCK]; ssh-add -l; SSH_AUTH_SOCK=%s ssh-add -l" % place, env={"SSH_AUTH_SOCK": place})
        assert inside.stdout == "[]\n" and inside.status != 0, inside.stdout
    finally:
        os.kill(pid, 15)


# --- the web ---

FETCH = """import ssl, sys, urllib.request
context = ssl.create_default_context(cafile="authority.pem")
with urllib.request.urlopen(urllib.request.Request("https://web.test/python", data=b"x" * 100000), context=context) as f:
    print(f.read().decode(), f.status, end="")
try:
    urllib.request.urlopen("https://web.test/", context=ssl.create_default_context())
except urllib.error.URLError as error:
    print(type(error.reason).__name__)
"""


def test_tls_by_name(day, town):
    for program in ("curl", "openssl"):
        need(program)
    day.file("authority.pem", town.web())
    day.file("fetch.py", FETCH)
    done = day.both("curl -sS --cacert authority.pem https://web.test/a; curl -sS --cacert authority.pem -d @fetch.py https://web.test/; "
                    "curl -sS --cacert authority.pem https://web.test/big | cksum; curl -sS http://web.test/plain; /usr/bin/python3 fetch.py; "
                    "curl -s https://web.test/; echo $?")
    assert done.stdout.startswith("page /a\ntook ") and "page /plain\ntook 100000 bytes\n 200SSLCertVerificationError\n60\n" in done.stdout
    assert done.refusals() == [] and done.of("grant", operation="look up", object="web.test")
    # The refused twin: another port of that server, a name that is not there, and the whole of it offline.
    twin = day.inside("curl -sS --cacert authority.pem https://web.test:8443/; curl -sS https://nowhere.test/")
    assert day.outside("curl -sS --cacert authority.pem https://web.test:8443/x").stdout == "page /x\n"
    assert twin.stdout == "" and "Could not resolve host: nowhere.test" in twin.stderr
    assert twin.refusals("tcp:%s:8443" % FAR)[0]["error"] in ("ENETUNREACH", "EACCES")
    seen = day.told("curl -sS --cacert authority.pem https://web.test:8443/")
    assert re.search(r"^shellguard: curl may not connect to tcp:%s:8443: no rule allows this address" % FAR, seen, re.M), seen
    offline = day.inside("curl -sS --cacert authority.pem https://web.test/a; curl -sS --cacert authority.pem https://%s/" % FAR, profile="offline")
    assert offline.stdout == "" and offline.refusals("tcp:%s:443" % FAR), offline.records
    assert not offline.of("grant", operation="connect to"), offline.records


FETCHERS = [
    ("node", "fetch.mjs", """import http from 'node:http'; import dns from 'node:dns/promises';
const url = process.argv[2];
console.log((await dns.lookup('web.test')).address);
console.log(await (await fetch(url, {method: 'POST', body: 'x'.repeat(50000)})).text());
http.get(url, r => r.on('data', d => process.stdout.write(d)));
""", "node fetch.mjs %s"),
    ("go", "fetch.go", """package main

import ("fmt"; "io"; "net"; "net/http"; "os"; "strings")

func main() {
	addresses, err := net.LookupHost("web.test")
	fmt.Println(addresses, err)
	for i := 0; i < 2; i++ {
		answer, err := http.Post(os.Args[1], "text/plain", strings.NewReader(strings.Repeat("x", 50000)))
		if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
		io.Copy(os.Stdout, answer.Body)
	}
}
""", "GO111MODULE=off go build -o fetch fetch.go && ./fetch %s"),
    ("javac", "Fetch.java", """import java.net.*; import java.net.http.*;
public class Fetch {
  public static void main(String[] a) throws Exception {
    System.out.println(InetAddress.getByName("web.test").getHostAddress());
    HttpRequest request = HttpRequest.newBuilder(URI.create(a[0])).POST(HttpRequest.BodyPublishers.ofString("x".repeat(50000))).build();
    System.out.print(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    System.out.print(new String(new URL(a[0]).openStream().readAllBytes()));
  }
}
""", "javac Fetch.java && java -cp . Fetch %s"),
    ("perl", "fetch.pl", """use Socket; use IO::Socket::INET; use HTTP::Tiny;
print inet_ntoa(inet_aton('web.test')), "\\n";
my $answer = HTTP::Tiny->new->post($ARGV[0], {content => 'x' x 50000});
print $answer->{content}; exit($answer->{success} ? 0 : 1);
""", "perl fetch.pl %s"),
    ("python3", "get.py", """import asyncio, socket, sys, urllib.request, urllib.parse
print(socket.gethostbyname("web.test"))
print(urllib.request.urlopen(sys.argv[1], data=b"x" * 50000).read().decode(), end="")
async def get(url):
    reader, writer = await asyncio.open_connection(url.hostname, url.port or 80)
    writer.write(b"GET %s HTTP/1.0\\r\\n\\r\\n" % url.path.encode()); print((await reader.read()).decode().split("\\r\\n\\r\\n")[1], end="")
asyncio.run(get(urllib.parse.urlsplit(sys.argv[1])))
""", "/usr/bin/python3 get.py %s"),
]


@pytest.mark.parametrize("program, name, text, command", FETCHERS, ids=[row[0] for row in FETCHERS])
def test_languages_by_name(day, town, program, name, text, command):
    """Each language's own resolver and client: a name, what is sent and what comes back; then a port that no rule names."""
    need(program)
    town.web()
    day.file(name, text)
    done = day.both(command % "http://web.test/page", timeout=300)
    assert done.status == 0 and FAR in done.stdout and "took 50000 bytes" in done.stdout, done.stdout + done.stderr
    assert [r for r in done.refusals() if r["operation"] in ("connect to", "look up")] == [], done.refusals()
    assert done.of("grant", operation="connect to", object="tcp:%s:80" % FAR)
    command = command.split(" && ")[-1]
    twin = day.inside(command % "http://web.test:8443/page", timeout=120)
    assert twin.status != 0 and "took" not in twin.stdout, twin.stdout
    assert twin.refusals("tcp:%s:8443" % FAR)[0]["reason"].startswith("no rule allows this address"), twin.records
