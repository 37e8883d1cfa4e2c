"""A person's shell: the keys, the jobs, the window, the prompt."""
import os
import re

import pytest
from conftest import live, need
from terminal import CTRL_C, CTRL_Z

PROMPT = r"(\(guarded\) )?%s@[^ ]*:~/sg-project-\d+[$#] $"


def prompt(day):
    return PROMPT % day.name


def test_interactive_bash(day, both_ways):
    with day.terminal("/bin/bash", guarded=both_ways) as t:
        first = t.expect(prompt(day))
        assert bool(first.group(1)) == both_ways
        t.line("echo $((40 + 2)) ${SHELLGUARD_SESSION:+guarded}")
        t.expect(r"^42 guarded$" if both_ways else r"^42 ?$")
        t.expect(prompt(day))
        t.line("sh -c 'echo sta\"\"rted; exec sleep 1000'")
        t.expect(r"^started$")
        t.send(CTRL_C)
        t.expect(prompt(day))
        t.line("echo $?")
        t.expect(r"^130$")
        t.expect(prompt(day))
        t.line("exit 7")
        assert t.wait() == 7


def test_jobs(day, both_ways):
    day.file("talk", "#!/bin/sh\necho up\nexec cat\n", 0o755)
    with day.terminal("/bin/bash", guarded=both_ways) as t:
        t.expect(prompt(day))
        t.line("./talk")
        t.expect(r"^up$")
        t.line("one")
        t.expect(r"one\none\n")
        t.send(CTRL_Z)
        t.expect(r"\[1\]\+ +Stopped +./talk")
        t.expect(prompt(day))
        t.line("sleep 1000 &")
        t.expect(r"\[2\] \d+")
        t.line("jobs")
        t.expect(r"\[1\]\+ +Stopped +./talk")
        t.expect(r"\[2\]- +Running +sleep 1000 &")
        t.line("bg %1")
        t.expect(r"\[1\]\+ ./talk &")
        t.expect(r"\[1\]\+ +Stopped +./talk|[$#] $")   # cat reads the terminal from the background
        t.line("fg %1")
        t.expect(r"^./talk\n")
        t.line("two")
        t.expect(r"two\ntwo\n")
        t.send(CTRL_C)
        t.expect(prompt(day))
        t.line("kill %2; wait; exit 0")
        assert t.wait() == 0


def test_window(day, both_ways):
    with day.terminal("/bin/bash", guarded=both_ways, rows=31, columns=117) as t:
        t.expect(prompt(day))
        t.line("stty size")
        t.expect(r"^31 117$")
        t.expect(prompt(day))
        t.line("trap 'echo changed' WINCH; echo ready")
        t.expect(r"^ready$")
        t.expect(prompt(day))
        t.resize(40, 100)
        t.line("")
        t.expect(r"changed")
        t.line("stty size")
        t.expect(r"^40 100$")
        t.line("exit")
        t.wait()


def test_prompt_of_sh(day):
    with day.terminal("/bin/dash") as t:
        t.expect(r"^\(guarded\) \$ $")
        t.line("exit 3")
        assert t.wait() == 3


def test_prompt_of_bash_without_settings(day):
    with day.terminal("/bin/bash", "--norc") as t:
        t.expect(r"^\(guarded\) [^(]*[$#] $")
        t.line("PS1='mine> '")
        t.expect(r"^\(guarded\) mine> $")
        t.line("exit")
        t.wait()


def test_prompt_of_zsh(day):
    need("zsh")
    with day.terminal("/usr/bin/zsh", "-f") as t:
        t.expect(r"\(guarded\) ")
        t.line("exit 4")
        assert t.wait() == 4


def test_scripts_see_no_prompt(day):
    done = day.inside("bash -c 'echo \"[$PS1]\"'; id -un; pwd")
    assert done.stdout == "[]\n%s\n%s\n" % (day.name, day.project)


def outer_bash(day):
    """The user's shell outside, in the private namespace, with `guarded COMMAND` for a session."""
    command = day.guarded()
    inner = command[command.index(day.sg.program):]
    path = day.file(os.path.join(day.home, "guarded"), "#!/bin/sh\nexec %s \"$@\"\n" % " ".join("'%s'" % w for w in inner), 0o755)
    return day.terminal("/bin/bash", "--norc", guarded=False, env={"PS1": "outer> ", "PATH": os.path.dirname(path) + ":/usr/bin:/bin"
                                                                   if not day.private else day.real_home + ":/usr/bin:/bin"})


OUTER = r"outer> $"


def leave(t):
    t.line("exit 0")
    assert t.wait() == 0


def test_outer_jobs(day):
    """The whole of `run` is a job of the user's shell: Ctrl-Z, the terminal as it was, fg, Ctrl-C."""
    with outer_bash(day) as t:
        t.expect(OUTER)
        t.line("guarded sh -c 'echo up; exec cat'")
        t.expect(r"^up$")
        t.line("one")
        t.expect(r"one\none\n")
        t.send(CTRL_Z)
        t.expect(r"Stopped")
        t.expect(OUTER)
        t.line("stty -a | grep -c -- ' -echo '")
        t.expect(r"^0$")
        t.expect(OUTER)
        t.line("fg")
        t.expect(r"^guarded sh -c")
        t.line("two")
        t.expect(r"two\ntwo\n")
        t.send(CTRL_C)
        t.expect(OUTER)
        t.line("echo status $?")
        t.expect(r"^status 130$")
        t.expect(OUTER)
        leave(t)


def test_outer_jobs_with_a_shell_inside(day):
    """Ctrl-Z inside is the inner shell's; `suspend` there stops the whole of `run`."""
    with outer_bash(day) as t:
        t.expect(OUTER)
        t.line("guarded bash --norc")
        t.expect(r"\(guarded\) [^(]*[$#] $")
        t.line("sh -c 'echo u\"\"p; exec cat'")
        t.expect(r"^up$")
        t.line("one")
        t.expect(r"one\none\n")
        t.send(CTRL_Z)
        t.expect(r"Stopped +sh")
        t.expect(r"\(guarded\) [^(]*[$#] $")
        t.line("suspend")
        t.expect(r"Stopped +guarded bash")
        t.expect(OUTER)
        t.line("fg")
        t.expect(r"^guarded bash --norc$")
        t.line("jobs; echo here $$")
        t.expect(r"Stopped +sh")
        t.expect(r"^here \d+$")
        t.line("exit; exit")
        t.expect(OUTER)
        leave(t)


def test_background_job(day):
    """`run ... &` leaves the keys to the shell until it asks for them and is brought forward."""
    with outer_bash(day) as t:
        t.expect(OUTER)
        t.line("guarded sh -c 'read line; echo got $line' &")
        t.expect(r"\[1\] \d+")
        t.line("echo still $((6 * 7))")
        t.expect(r"^still 42$")
        t.line("while [ -z \"$(jobs -s)\" ]; do :; done; echo stopped")
        t.expect(r"^stopped$")
        t.line("fg")
        t.expect(r"^guarded sh -c")
        t.line("me")
        t.expect(r"^got me$")
        t.expect(OUTER)
        leave(t)


def test_pipe_to_a_pager(day):
    """`run CMD | less`: the keys are the pager's."""
    need("less")
    with outer_bash(day) as t:
        t.expect(OUTER)
        t.line("guarded seq 1 5000 | less")
        t.expect(r"^23$")
        t.send(" ")
        t.expect(r"^46$")
        t.send("G")
        t.expect(r"^5000$")
        t.send("q")
        t.expect(OUTER)
        leave(t)


def test_pipe_from_a_program_that_reads_the_terminal(day):
    """`run CMD | cat`, where CMD asks something on the terminal."""
    with outer_bash(day) as t:
        t.expect(OUTER)
        t.line("guarded sh -c 'printf \"name: \" >/dev/tty; read name </dev/tty; echo hello $name' | cat")
        t.expect(r"name: $")
        t.line("Ada")
        t.expect(r"hello Ada$")   # by the pipe, that is beside the terminal's echo
        t.expect(OUTER)
        leave(t)


def test_explained(day):
    """What cannot work inside says so in one line, instead of failing in a way that sends people elsewhere."""
    found = 0
    for program in ("sudo", "su", "docker", "systemctl"):
        path = "/usr/bin/" + program
        if not os.path.isfile(path):
            continue
        found += 1
        for name in (program, path):
            done = day.inside("%s anything" % name)
            assert done.status == 126
            assert re.fullmatch(r"%s: not inside a ShellGuard session: .+\n" % program, done.stderr), done.stderr
    if not found:
        live.cannot("none of sudo, su, docker, systemctl is installed")
    assert day.inside("echo x > /usr/bin/su", profile="developer").status != 0


def test_looking_around(day):
    done = day.inside("ps -e -o comm=; top -b -n 1 | head -1; free | head -2; id -u; hostname; uptime; nproc; df . | tail -1")
    assert done.status == 0
    names = done.stdout.split("\n")
    assert "ps" in names and "systemd" not in names
    assert re.search(r"^top - ", done.stdout, re.M) and re.search(r"^Mem: +\d+", done.stdout, re.M)
    assert "%d\nworld\n" % day.sg.uid in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("call", ["kill -9 1", "kill -STOP 1", "echo 1 > /proc/sys/kernel/hostname", "hostname other", "date -s 0 >/dev/null",
                                  "mount -t tmpfs x /mnt", "unshare -U true", "chroot / true", "mknod x c 1 3", "chmod u+s x"])
def test_refused(day, call):
    """The administrator's half of a day stays outside."""
    done = day.inside("touch x; (%s) 2>/dev/null && echo done; true" % call)
    if call.startswith("kill"):
        assert done.status == 0 # the first process of a world takes no signal: nothing happens
    else:
        assert done.stdout == ""
