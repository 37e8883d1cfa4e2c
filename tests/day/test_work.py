"""A day's work in one folder: edit, commit, build, run; each step beside the same without ShellGuard, then its refused twin."""
import os
import re

import pytest
from conftest import live, need
from terminal import CTRL_C, ESCAPE

PROMPT = r"[$#] $"


def test_vim(day, both_ways):
    need("vim")
    day.file("poem", "first line\n")
    with day.terminal("/usr/bin/vim", "-u", "NONE", "poem", guarded=both_ways) as t:
        t.expect(r"first line")
        t.send("osecond line" + ESCAPE)
        t.expect(r"second line")
        t.line(":wq")
        assert t.wait() == 0
    assert day.read("poem") == "first line\nsecond line\n"


def test_vim_is_refused(day):
    need("vim")
    before = open("/etc/hosts", encoding="utf-8").read()
    with day.terminal("/usr/bin/vim", "-u", "NONE", "/etc/hosts") as t:
        t.expect(r"localhost")
        t.send("oevil" + ESCAPE)
        t.line(":w!")
        t.expect(r"E\d+: .*(open|writ)|read-only", timeout=20)
        t.line(":q!")
        t.wait()
    assert open("/etc/hosts", encoding="utf-8").read() == before
    assert day.outside("cat /etc/hosts").stdout == before


def test_nano(day, both_ways):
    need("nano")
    with day.terminal("/usr/bin/nano", "--ignorercfiles", "note", guarded=both_ways) as t:
        t.expect(r"GNU nano")
        t.send("remember")
        t.expect(r"remember")
        t.send("\x0f")
        t.expect(r"File Name to Write")
        t.send("\r")
        t.expect(r"Wrote 1 line")
        t.send("\x18")
        assert t.wait() == 0
    assert day.read("note") == "remember\n"


def test_less(day, both_ways):
    need("less")
    day.file("long", "".join("line %d\n" % i for i in range(1, 2001)))
    with day.terminal("/usr/bin/less", "long", guarded=both_ways) as t:
        t.expect(r"^line 23$")
        t.send("/line 1500\r")
        t.expect(r"line 1522\n:$")
        t.resize(40, 100)
        t.expect(r"line 1538")
        t.send("G")
        t.expect(r"^line 2000$")
        t.send("q")
        assert t.wait() == 0


def test_man(day):
    need("man")
    pages = day.outside("MANPAGER=cat MANWIDTH=80 man -P cat ls 2>/dev/null | head -c 100").stdout
    if not pages.strip():
        live.cannot("no manual pages are installed")
    with day.terminal("/usr/bin/man", "ls") as t:
        t.expect(r"NAME")
        t.send("q")
        assert t.wait() == 0


def test_git(day):
    need("git")
    day.file("src/main.c", "int main(void)\n{\n\treturn 0;\n}\n")
    when = "GIT_AUTHOR_DATE='2024-01-01 00:00:00 +0000' GIT_COMMITTER_DATE='2024-01-01 00:00:00 +0000'"
    done = day.both("export %s; git init -q . && git add . && git commit -q -m first && echo x >> src/main.c && git diff --stat && "
                    "git commit -q -a -m second && git log --format='%%h %%an %%s' && git clone -q . copy 2>&1 && "
                    "git -C copy log --oneline && git status --short && git checkout -q -b other && git branch && git stash list && "
                    "git gc -q 2>&1 && git fsck 2>&1" % when)
    assert done.status == 0 and "Day second" in done.stdout
    assert done.refusals() == []
    # The refused twin: another repository of the same home, and the settings.
    day.make(os.path.join(day.real_home, "other"))
    assert day.outside("cd ~/other && git init -q . && git -c commit.gpgsign=false commit -q --allow-empty -m private").status == 0
    twin = day.inside("git clone -q ~/other stolen; ls ~/other; git config --global user.name Eve; true")
    assert not os.path.exists(day.seen(os.path.join(day.project, "stolen/.git/HEAD"))) and twin.stdout == ""
    assert "Eve" not in day.read(os.path.join(day.real_home, ".gitconfig"))


def test_compile_many(day):
    need("make")
    need("gcc")
    for i in range(200):
        day.file("f%d.c" % i, "#include <stdio.h>\nint f%d(void);\nint f%d(void)\n{\n\treturn snprintf(NULL, 0, \"%%d\", %d);\n}\n" % (i, i, i))
    day.file("main.c", "#include <stdio.h>\n" + "".join("int f%d(void);\n" % i for i in range(200)) +
             "int main(void)\n{\n\tprintf(\"%d\\n\", " + " + ".join("f%d()" % i for i in range(200)) + ");\n\treturn 0;\n}\n")
    day.file("Makefile", "objects := $(patsubst %.c,%.o,$(wildcard *.c))\nsum: $(objects)\n\t@gcc -o $@ $^\n%.o: %.c\n\t@gcc -O0 -c -o $@ $<\n")
    done = day.both("make -j2 sum 2>&1 && ./sum && make -q sum; echo $?")
    assert done.stdout.endswith("%d\n0\n" % sum(len(str(i)) for i in range(200)))
    # The refused twin: a makefile that installs.
    day.file("evil.mk", "install:\n\tcp sum /usr/local/bin/sum\n\tcp sum $(HOME)/../bin\n")
    twin = day.inside("make -k -f evil.mk install")
    assert twin.status != 0 and not os.path.exists("/usr/local/bin/sum")


@pytest.mark.parametrize("profile", ["build", "offline"])
def test_other_profiles_build(day, profile):
    need("gcc")
    day.file("hello.c", "#include <stdio.h>\nint main(void)\n{\n\treturn puts(\"hello\") < 0;\n}\n")
    done = day.inside("gcc -o hello hello.c && ./hello && gcc -o /tmp/hello hello.c && /tmp/hello", profile=profile)
    assert (done.status, done.stdout) == (0, "hello\nhello\n"), done.stderr


def test_python(day):
    if day.outside("/usr/bin/python3 -c 'import venv, ensurepip'").status != 0:
        live.cannot("python3-venv is not installed")
    day.file("mine.py", "import json, sqlite3, multiprocessing, threading, subprocess, tempfile, hashlib\n"
             "def double(x):\n    return 2 * x\n"
             "if __name__ == '__main__':\n"
             "    with multiprocessing.Pool(2) as pool:\n        print(pool.map(double, range(5)))\n"
             "    print(sqlite3.connect('data.db').execute('select 6 * 7').fetchone())\n"
             "    print(subprocess.run(['echo', 'child'], capture_output=True, text=True).stdout.strip())\n"
             "    print(tempfile.TemporaryFile().write(b'abc'))\n")
    done = day.both("/usr/bin/python3 -m venv --without-pip env && . env/bin/activate && python -c 'import sys; print(sys.prefix)' && "
                    "python mine.py && python -c 'import mine; print(mine.double(21))'")
    assert done.status == 0 and done.stdout.endswith("42\n"), done.stderr
    twin = day.inside("/usr/bin/python3 -c \"open('/etc/hosts', 'a')\"; /usr/bin/python3 -c \"open('%s')\"" % os.path.join(day.real_home, "x"))
    assert twin.stderr.count("Error") >= 2


def test_tmux(day, both_ways):
    need("tmux")
    with day.terminal("/bin/bash", "--norc", guarded=both_ways) as t:
        t.expect(PROMPT)
        t.line("tmux -L try -f /dev/null new -s one")
        t.expect(r"\[one\]")
        t.line("echo in$((1 + 1))side")
        t.expect(r"in2side")
        t.send("\x02d")
        t.expect(r"\[detached \(from session one\)\]")
        t.expect(PROMPT)
        t.line("tmux -L try ls")
        t.expect(r"^one: 1 windows")
        t.line("tmux -L try attach -t one")
        t.expect(r"in2side")
        t.send("\x02d")
        t.expect(r"\[detached")
        t.line("tmux -L try kill-session -t one; while tmux -L try ls; do :; done; echo go\"\"ne")
        t.expect(r"^gone$")
        t.line("exit")
        t.wait()


def test_tmux_is_refused(day):
    """A server of the user's that runs outside would run whatever it is told there."""
    need("tmux")
    socket = os.path.join(day.make(os.path.join(day.real_home, "tmux")), "socket")
    ask = "tmux -S '%s' " % os.path.join(day.real_home, "tmux", "socket")
    evil = "tmux/evil"
    attempt = ask + "has-session -t outer && echo there; " + ask + "send-keys -t outer 'echo x > ~/%s' Enter; %s kill-server; true" % (evil, ask)
    assert day.outside(ask + "-f /dev/null new -d -s outer").status == 0 and os.path.exists(socket)
    try:
        assert day.inside(attempt).stdout == ""
        assert not os.path.exists(day.seen(os.path.join(day.real_home, evil)))
    finally:
        assert day.outside(ask + "has-session -t outer && echo there; " + ask + "kill-server").stdout == "there\n"


LANGUAGES = [
    ("node", "hello.js", "const fs = require('fs'); new Promise(r => setTimeout(r, 5)).then(() => { fs.writeFileSync('out', 'x');"
     " console.log('hello', fs.readFileSync('out', 'utf8'), require('child_process').execSync('echo child').toString().trim()); });\n", "node hello.js"),
    ("go", "hello.go", "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\tdone := make(chan string)\n"
     "\tgo func() { done <- \"hello\" }()\n\tfmt.Println(<-done, len(os.Args))\n}\n", "GO111MODULE=off go build -o hello hello.go && ./hello && GO111MODULE=off go run hello.go"),
    ("javac", "Hello.java", "public class Hello {\n  public static void main(String[] a) throws Exception {\n"
     "    Thread t = new Thread(() -> System.out.println(\"hello\"));\n    t.start();\n    t.join();\n"
     "    System.out.println(new Process0().run());\n  }\n  static class Process0 { String run() throws Exception {\n"
     "    return new String(new ProcessBuilder(\"echo\", \"child\").start().getInputStream().readAllBytes()).trim(); } }\n}\n",
     "javac Hello.java && java -cp . Hello"),
    ("perl", "hello.pl", "use File::Temp; use POSIX; my $t = File::Temp->new; print $t 'x'; print 'hello ', `echo child`;\n", "perl hello.pl"),
]


@pytest.mark.parametrize("program, name, text, command", LANGUAGES, ids=[row[0] for row in LANGUAGES])
def test_languages(day, program, name, text, command):
    need(program)
    day.file(name, text)
    done = day.both(command, timeout=240)
    assert done.status == 0 and "hello" in done.stdout, done.stderr
    assert not done.of("refusal", operation="open") and not done.of("refusal", operation="execute")


def test_find_everything(day):
    """`find /` comes to an end, and what it meets is the system's."""
    day.file(os.path.join(day.real_home, "diary"), "dear diary\n")
    look = "find ~ -name diary 2>/dev/null | wc -l"
    assert (day.outside(look).stdout, day.inside(look).stdout) == ("1\n", "0\n")
    done = day.inside("find / 2>/dev/null | sed 's,^/proc/[0-9].*,,' | sort -u", timeout=300)
    names = set(done.stdout.splitlines())
    assert "/usr/bin/find" in names and os.path.join(day.project) in names
    assert not [n for n in names if n.endswith("/diary") or n.startswith(("/srv", "/var/lib", "/boot", "/work"))]


def test_interrupted_build(day):
    """Ctrl-C on a build ends all of it, and the shell goes on."""
    need("make")
    # Python says so itself: dash loses a Ctrl-C that comes while it starts a program.
    day.file("wait.py", "import sys, time\nprint('started', sys.argv[1], flush=True)\ntime.sleep(1000)\n")
    day.file("Makefile", "all: a b\na b:\n\t@/usr/bin/python3 wait.py $@\n")
    with day.terminal("/bin/bash", "--norc") as t:
        t.expect(PROMPT)
        t.line("make -j2")
        t.expect(r"started [ab]")
        t.expect(r"started [ab]")
        t.send(CTRL_C)
        t.expect(r"Interrupt")
        t.expect(PROMPT)
        t.line("ps -e -o comm= | grep -c python")
        t.expect(r"^0$")
        t.line("exit")
        t.wait()


def test_untrusted(day):
    """A program nobody vouches for: its input through a pipe, its output from one, and nothing of the user's."""
    day.file("private", "mine\n")
    script = b"import os; print(6 * 7); open('/tmp/x', 'w').write('y'); print(os.listdir('/tmp'), os.path.exists('%s'))" % day.project.encode()
    done = day._run(day.guarded("/usr/bin/python3", "-", profile="untrusted"), script, 60, None)
    assert done.stdout == "42\n['x'] False\n", done.stderr
    refused = day.inside("cat /etc/passwd; cat %s/private; ls /home /root /srv; echo x > /usr/x" % day.project, profile="untrusted")
    assert refused.stdout == "" and refused.status != 0
    forks = day.inside("for i in $(seq 1 300); do sleep 5 & done 2>&1; true", profile="untrusted")
    assert re.search("fork|Resource", forks.stdout + forks.stderr)


def test_read_only_host(day):
    """An administrator's look around."""
    done = day.inside("dpkg -l dpkg | tail -1; head -1 /etc/os-release; ls /var/log > /dev/null && echo logs; free > /dev/null && echo memory; "
                      "ls /sys/class > /dev/null && echo sys", profile="read-only-host")
    assert re.search(r"^ii +dpkg", done.stdout, re.M) and done.stdout.endswith("logs\nmemory\nsys\n"), done.stderr
    twin = day.inside("for f in /etc/x /usr/x /var/log/x /var/x /x ~/x %s/x; do echo x > $f && echo wrote $f; done 2>/dev/null; "
                      "ls /home /root /srv 2>/dev/null; apt-get -y remove less >/dev/null 2>&1 && echo removed; true" % day.project, profile="read-only-host")
    assert twin.stdout == ""
