"""make install: everything in its place, and the installed program finds its own files wherever it was put."""
import os
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT, SANITIZED, cannot

PLACES = ["bin/shellguard", "share/man/man1/shellguard.1", "share/man/man5/shellguard-profile.5",
          "share/bash-completion/completions/shellguard", "share/zsh/site-functions/_shellguard",
          "share/fish/vendor_completions.d/shellguard.fish"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if shutil.which("meson") is None:
        cannot("there is no meson")
    # Below /var/tmp: the ordinary user must get there.
    folder = "/var/tmp/sg-install-%d" % os.getpid()
    os.mkdir(folder)
    try:
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder], check=True, capture_output=True)
        found = [f for f, _, names in os.walk(folder) if f.endswith("/bin") and "shellguard" in names]
        yield os.path.dirname(found[0])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_everything_is_in_its_place(installed):
    for name in PLACES:
        assert os.path.getsize(os.path.join(installed, name)) > 0, name
    for kind in ("profiles", "flags"):
        names = [n for n in os.listdir(os.path.join(ROOT, kind)) if n.endswith(".toml")]
        assert names and sorted(os.listdir(os.path.join(installed, "share", "shellguard", kind))) == sorted(names)
    # Nothing else, and all of it to be read by everybody and written by its owner alone.
    for folder, folders, files in os.walk(installed):
        for name in folders + files:
            mode = os.stat(os.path.join(folder, name)).st_mode
            assert mode & 0o022 == 0 and mode & 0o444 == 0o444 and mode & 0o6000 == 0, name
    assert sorted(os.listdir(os.path.join(installed, "bin"))) == ["shellguard"]


def test_it_finds_its_files(sg, installed):
    program = os.path.join(installed, "bin", "shellguard")

    def run(*arguments):
        return subprocess.run(sg.command([program] + list(arguments)), env=sg.environment(), cwd=sg.cwd, capture_output=True, text=True,
                              timeout=60)

    listed = run("profiles")
    assert listed.returncode == 0
    for name in os.listdir(os.path.join(ROOT, "profiles")):
        if name.endswith(".toml"):
            assert name[:-5] in listed.stdout and run("check", name[:-5]).returncode == 0, name
    done = run("run", "--record", os.path.join(sg.work, "log.jsonl"), "--", "/bin/sh", "-c", "echo in the world; exit 3")
    assert (done.returncode, done.stdout) == (3, "in the world\n"), done.stderr
    assert run("doctor").returncode == 0


def test_through_a_link(sg, installed):
    """/usr/local/bin/shellguard may be a link into /opt: the files lie beside the program, not beside the link."""
    link = os.path.join(sg.work, "shellguard")
    os.symlink(os.path.join(installed, "bin", "shellguard"), link)
    done = subprocess.run(sg.command([link, "check", "developer"]), env=sg.environment(), cwd=sg.cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert SANITIZED or "developer" in done.stdout
