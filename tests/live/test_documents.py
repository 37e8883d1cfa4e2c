"""The manual pages and completions: up to date with the tables, and fit for use."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import ROOT, cannot

FILES = ["man/shellguard.1", "man/shellguard-profile.5", "completions/shellguard.bash", "completions/shellguard.zsh",
         "completions/shellguard.fish", "schema/profile.schema.json", "docs/reference.md"]


def need(tool):
    if shutil.which(tool) is None:
        cannot("there is no " + tool)


def test_up_to_date(tmp_path):
    subprocess.run([os.path.join(ROOT, "tools", "generate-documents"), os.path.join(os.environ.get("SG_BUILD_ROOT") or os.path.join(ROOT, "build"), "shellguard"), str(tmp_path)],
                   check=True)
    for name in FILES:
        with open(os.path.join(ROOT, name), encoding="utf-8") as f, open(tmp_path / name, encoding="utf-8") as g:
            assert f.read() == g.read(), name + ": run tools/generate-documents"


@pytest.mark.parametrize("page", FILES[:2])
def test_manual_renders_without_warnings(page):
    need("man")
    done = subprocess.run(["man", "--warnings", "-l", os.path.join(ROOT, page)], capture_output=True, text=True,
                          env=dict(os.environ, MANWIDTH="80", LC_ALL="C.UTF-8", MANPAGER="cat"))
    assert done.returncode == 0 and done.stderr == ""
    assert "shellguard" in done.stdout and len(done.stdout.splitlines()) > 100
    need("groff")
    strict = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", os.path.join(ROOT, page)], capture_output=True, text=True)
    assert strict.stderr == ""


def complete(line, path):
    """What bash offers for the line, whose last word is being typed."""
    script = """
source %s
COMP_LINE=$1; read -ra COMP_WORDS <<< "$1"
case $1 in *' ') COMP_WORDS+=('');; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
_shellguard
printf '%%s\\n' "${COMPREPLY[@]}"
""" % os.path.join(ROOT, FILES[2])
    env = dict(os.environ, PATH=path + ":" + os.environ["PATH"])
    done = subprocess.run(["bash", "-c", script, "bash", line], capture_output=True, text=True, env=env, cwd="/")
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completion(prefix):
    path = os.path.join(prefix, "bin")
    assert complete("shellguard ex", path) == ["explain"]
    assert set(complete("shellguard ", path)) >= {"run", "check", "explain", "why", "audit", "syscalls", "profiles"}
    assert not any(word.startswith("_") for word in complete("shellguard ", path))
    assert "--cost" in complete("shellguard explain --", path) and "--cost" not in complete("shellguard run --", path)
    assert "developer" in complete("shellguard explain ", path)
    assert "developer" in complete("shellguard run -p dev", path)
    assert complete("shellguard run --flag outg", path) == ["outgoing"]
    assert "ptrace" in complete("shellguard syscalls ptr", path)
    assert "verify" in complete("shellguard audit v", path)


def test_sessions_are_completed_without_the_heading(tmp_path):
    """What shellguard prints is a table: its first line names the columns."""
    fake = tmp_path / "shellguard"
    fake.write_text("#!/bin/sh\nprintf 'SESSION   STATE\\nan-id     whole\\nother-id  whole\\n'\n", encoding="utf-8")
    fake.chmod(0o755)
    assert complete("shellguard audit ", str(tmp_path)) == ["show", "list", "verify", "last", "an-id", "other-id"]
    for line in ("shellguard why --session ", "shellguard stop ", "shellguard enter "):
        found = complete(line, str(tmp_path))
        assert {"an-id", "other-id"} <= set(found) and "SESSION" not in found, line


def test_completions_are_valid_scripts():
    assert subprocess.run(["bash", "-n", os.path.join(ROOT, FILES[2])]).returncode == 0
    need("zsh")
    assert subprocess.run(["zsh", "-n", os.path.join(ROOT, FILES[3])]).returncode == 0


def test_tables_for_the_documents(prefix):
    program = os.path.join(prefix, "bin", "shellguard")
    flags = subprocess.run([program, "_document", "flags"], capture_output=True, text=True).stdout
    keys = subprocess.run([program, "_document", "keys"], capture_output=True, text=True).stdout
    assert "| `start` | Runtime | " in flags and "| [Filesystem] | `ReadOnly` | a list of texts | may be read |" in keys
    wrong = subprocess.run([program, "_document", "nothing"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "usage: shellguard _document" in wrong.stderr


def pages():
    found = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    return found or [os.path.join(folder, name) for folder in (".", "docs") for name in os.listdir(os.path.join(ROOT, folder))
                     if name.endswith(".md")]


def anchor(heading):
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def test_links_lead_somewhere():
    seen = 0
    for page in pages():
        with open(os.path.join(ROOT, page), encoding="utf-8") as f:
            text = f.read()
        for target, part in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text):
            if "://" in target:
                continue
            path = os.path.join(ROOT, os.path.dirname(page), target) if target else os.path.join(ROOT, page)
            assert os.path.exists(path), (page, target)
            if part:
                with open(path, encoding="utf-8") as f:
                    assert part in [anchor(h) for h in re.findall(r"^#+ (.*)$", f.read(), re.M)], (page, target, part)
            seen += 1
    assert seen > 20


def test_commands_that_the_documents_name_exist(prefix):
    helped = subprocess.run([os.path.join(prefix, "bin", "shellguard"), "--help"], capture_output=True, text=True).stdout
    commands = set(re.findall(r"^  (\w+) ", helped, re.M))
    for page in pages():
        with open(os.path.join(ROOT, page), encoding="utf-8") as f:
            named = set(re.findall(r"(?:`|\$ )shellguard (\w+)", f.read()))
        assert named - commands - {"_document", "help"} == set(), page


@pytest.mark.parametrize("page", ["promises", "escapes", "architecture"])
def test_the_tests_that_are_named_exist(page):
    with open(os.path.join(ROOT, "docs", page + ".md"), encoding="utf-8") as f:
        named = set(re.findall(r"`(live|day|escape|unit|fault)(?:/(test_\w+)(?:\.py)?)?(?:::(test_\w+))?`", f.read()))
    assert named
    for suite, file, test in named:
        folder = os.path.join(ROOT, "tests", suite)
        files = [n for n in os.listdir(folder) if n.startswith("test_") and (not file or n.split(".")[0] == file)]
        assert files, (page, suite, file)
        assert not test or any("\ndef %s(" % test in open(os.path.join(folder, n), encoding="utf-8").read() for n in files), (page, file, test)


def test_the_readme_is_true(sg):
    """The place that its story shows is the rule's, each command has a row, and each link of the documents leads somewhere."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        readme = f.read()
    place = re.search(r"rule +(flags/\S+:\d+:\d+), of the flag", readme).group(1)
    assert place in " ".join(sg.cli("why", "-p", "developer", "/etc/hosts").stdout.split())
    rows = "\n".join(re.findall(r"^\| (`.*?) \|", readme, re.M))
    listed = re.findall(r"^  ([a-z]+) {2,}", sg.cli("--help").stdout, re.M)
    assert len(listed) > 15 and [c for c in listed if not re.search(r"`%s\b" % c, rows)] == []
    for name in ["README.md"] + ["docs/" + n for n in os.listdir(os.path.join(ROOT, "docs")) if n.endswith(".md")]:
        with open(os.path.join(ROOT, name), encoding="utf-8") as f:
            for link in re.findall(r"\]\(([^)#: ]+)(?:#[^)]*)?\)", f.read()):
                assert os.path.exists(os.path.join(ROOT, os.path.dirname(name), link)), (name, link)
