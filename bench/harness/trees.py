"""The trees that whole programs work on: the same bytes each time, made once for one call of the harness."""
import os
import subprocess

FILES_IN_FOLDER = 50
FOLDERS_IN_GROUP = 20
# A time in the past: a file as young as git's index would be read again by each `git status`.
OLD_TIME = 1_600_000_000
CONTENTS = 64  # distinct contents, so that the repository's objects are few

FUNCTIONS_IN_SOURCE = 8
SOURCE_HEADER = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "shared.h"
"""


def write(path, text):
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)


def git(context, folder, *arguments):
    environment = dict(context.environment)
    for role in ("AUTHOR", "COMMITTER"):
        environment.update({f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost",
                            f"GIT_{role}_DATE": f"{OLD_TIME} +0000"})
    subprocess.run(["git", "-C", folder, *arguments], env=environment, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)


def file_tree(context, count):
    """`count` small files in a git repository with one commit. Returns its folder."""
    root = context.path("tree")
    if os.path.isdir(root):
        return root
    texts = [f"content {number}\n" * (1 + number) for number in range(CONTENTS)]
    for number in range(count):
        folder_number = number // FILES_IN_FOLDER
        folder = os.path.join(root, f"g{folder_number // FOLDERS_IN_GROUP:03}", f"d{folder_number:04}")
        if number % FILES_IN_FOLDER == 0:
            os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"f{number:06}.txt")
        write(path, texts[number % CONTENTS])
        os.utime(path, (OLD_TIME, OLD_TIME))
    git(context, root, "init", "-q")
    git(context, root, "add", "-A")
    git(context, root, "commit", "-q", "-m", "tree")
    return root


def source_file(number):
    lines = [SOURCE_HEADER]
    for function in range(FUNCTIONS_IN_SOURCE):
        lines.append(f"""
int function_{number}_{function}(const struct record *record, int value)
{{
	char text[64];
	int sum = value * {function + 1};

	for (size_t i = 0; i < sizeof(record->values) / sizeof(record->values[0]); i++)
		sum += record->values[i] ^ (int)(i * {number + 1}u);
	(void)snprintf(text, sizeof(text), "%d %s", sum, record->name);
	return (int)strlen(text) + abs(sum % {function + 7});
}}
""")
    return "".join(lines)


def compile_tree(context, count, probe_count):
    """A Makefile and `count` C files; its target `probe` is the first `probe_count` of them. Returns the folder."""
    root = context.path("compile")
    if os.path.isdir(root):
        return root
    os.makedirs(os.path.join(root, "out"))
    write(os.path.join(root, "shared.h"),
          "#pragma once\nstruct record {\n\tchar name[32];\n\tint values[16];\n};\n")
    for number in range(count):
        write(os.path.join(root, f"s{number:03}.c"), source_file(number))
    objects = [f"out/s{number:03}.o" for number in range(count)]
    write(os.path.join(root, "Makefile"),
          "all: " + " ".join(objects) + "\nprobe: " + " ".join(objects[:probe_count]) +
          "\nout/%.o: %.c shared.h\n\tgcc -O1 -c -o $@ $<\n.PHONY: all probe\n")
    return root
