"""The profile of the proposal that this language comes from: as it was printed, with the two commas that it lacks, and at work."""
import os
import re

import pytest

from conftest import ROOT

PRINTED = open(os.path.join(ROOT, "tests", "toml", "own", "proposal.toml"), encoding="utf-8").read()
PROFILE = re.sub(r'("ping"|"incoming")$', r"\1,", PRINTED, flags=re.M)

# What its comments say, and what follows from its headings; `can` answers with exit status 0 for yes, 1 for no.
COMMENTS = [(0, "syscall " + name) for name in (
    "sendto", "recvfrom", "socket", "connect", "lstat", "chmod", "chown", "unlink", "fstat", "getrandom", "madvise", "mmap", "mprotect",
    "munmap", "getuid", "getgid", "setuid", "setgid")] + [
    (0, "capability CAP_NET_RAW"), (0, "write /tmp/x"), (0, "read /sys/kernel/x"), (0, "resolve example.org"),
    (0, "connect tcp:203.0.113.7:443"), (0, "listen tcp:0.0.0.0:8080"),
    (1, "write /sys/kernel/x"), (1, "write /etc/passwd"), (1, "read /root/x"), (1, "exec /usr/bin/id"),
    (1, "connect tcp:169.254.169.254:80"), (1, "syscall mount"), (1, "syscall ptrace"), (1, "syscall clone3"),
    (1, "capability CAP_SYS_ADMIN")]


def test_as_it_was_printed(sg):
    done = sg.cli("check", sg.profile(PRINTED))
    assert done.returncode == 1
    assert 'missing comma after `"ping"`' in done.stderr and 'missing comma after `"incoming"`' in done.stderr
    assert re.search(r"p1\.toml:6:11: error", done.stderr) and re.search(r"p1\.toml:9:15: error", done.stderr)


def test_it_means_what_its_comments_say(sg):
    name = sg.profile(PROFILE)
    assert sg.cli("check", name).returncode == 0
    wrong = [(expected, action) for expected, action in COMMENTS if sg.cli("can", name, action).returncode != expected]
    assert wrong == []
    text = " ".join(sg.cli("explain", name).stdout.split())
    for words in ("getentropy getrandom", "setugid none in Linux", "mquery none in Linux", "Recorded, refused ones too opening for writing, "
                  "and changes /etc/**", "/sys/**", '/tmp/, /var/tmp/ (flag "tmp")'):
        assert words in text, words
    text = " ".join(sg.cli("explain", name, "--long").stdout.split())
    for words in ("getentropy getrandom", "chflags file_setattr", "setugid none in Linux", "minherit madvise", "mquery none in Linux",
                  "Each opening for writing and each change of a name is recorded, refused ones too: /etc/**",
                  "/sys/** everything in this folder, however deep"):
        assert words in text, words


def test_it_compiles_to_all_back_ends(sg):
    name, folder = sg.profile(PROFILE), os.path.join(sg.home, "out")
    os.mkdir(folder)
    if os.getuid() == 0:
        os.chown(folder, sg.uid, sg.uid)
    text = sg.cli("compile", "--help").stdout
    back_ends = re.findall(r"^  ([a-z-]+) {2,}\S", text[text.index("Back ends:"):text.index("Exit status")], re.M)
    assert {"seccomp", "seccomp-bpf", "capabilities"} <= set(back_ends)
    done = sg.cli("compile", name, "--to", ",".join(back_ends), "--approximate", "-o", folder)
    assert done.returncode == 0, done.stderr
    assert len(os.listdir(folder)) == len(back_ends) and all(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder))


def test_by_itself_it_starts_nothing(sg):
    done = sg.run(PROFILE, "/usr/bin/id")
    assert done.status == 125 and '"start"' in done.stderr, done.stderr


def test_with_start_and_an_exec_rule_it_runs(sg):
    """A real program: it looks at /sys, works in /tmp, takes memory, and is refused the rest, on the record."""
    profile = PROFILE.replace('    "malloc"\n', '    "malloc", "start", "fork", "exec"\n').replace(
        "[Filesystem]\n", '[Filesystem]\nExec = ["/usr/**"]\n')
    script = ("import os, socket, tempfile\n"
              "print(len(os.listdir('/sys')) > 3, os.getuid())\n"
              "with tempfile.NamedTemporaryFile() as f: f.write(b'x' * 100000); f.flush(); os.chmod(f.name, 0o600); print(os.stat(f.name).st_size)\n"
              "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(1)\n"
              "c = socket.create_connection(s.getsockname()); print(c.getpeername()[0])\n"
              "for name in ('/etc/passwd', '/root/x', '/sys/x'):\n"
              "  try: open(name, 'w'); print('wrote', name)\n"
              "  except OSError as e: print(name, e.strerror)\n")
    done = sg.run(profile, "/usr/bin/python3", "-c", script)
    assert done.status == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == ["True %d" % sg.uid, "100000", "127.0.0.1"] and "wrote" not in done.stdout, lines
    told = {r["object"]: r["reason"] for r in done.refusals()}
    assert {"/etc/passwd", "/root/x", "/sys/x"} <= set(told), told


@pytest.mark.parametrize("name", ["p.toml", "./p.toml"])
def test_a_file_by_its_name(sg, name):
    """A profile in this folder is named as any other file is."""
    sg.write("p.toml", PROFILE)
    assert sg.cli("check", name).returncode == 0
    sg.write("q.toml", 'Extends = ["p.toml"]\n')
    assert sg.cli("check", "q.toml").returncode == 0
    sg.write("outside.toml", PROFILE, folder=sg.work)
    sg.write("r.toml", 'Extends = ["../outside.toml"]\n')
    refused = sg.cli("check", name.replace("p.toml", "r.toml"))
    assert refused.returncode == 1 and "neither below the folder" in refused.stderr, refused.stderr
    assert "there is no profile" in sg.cli("check", "q").stderr
