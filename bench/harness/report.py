"""The result as a Markdown table, and its place in a document."""
import os
import re

# Which block of a document a run refreshes: root's numbers and an ordinary user's stand side by side.
BEGIN = "<!-- bench:{who}:begin -->"
END = "<!-- bench:{who}:end -->"

SLOW_LINE = ("proot and the two rows of strace stop at system calls: of the loops that print the time of one operation they "
             "run a tenth of the operations.")


def number(value):
    """Three significant digits, never in exponent form."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


class Notes:
    """Numbered notes; equal texts share a number."""

    def __init__(self):
        self.texts = []

    def mark(self, text):
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"


def cell_text(cell, ratio, notes):
    if "reason" in cell:
        return "– " + notes.mark(cell["reason"])
    text = number(max(cell["median"], 0.0))
    return f"{text} (×{number(cell['ratio'])})" if ratio and "ratio" in cell else text


def escape(text):
    """Text from a program's standard error is data: nothing in it may act as Markdown or HTML, or break a row."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text)


def table(result):
    notes = Notes()
    rows = result["rows"]
    lines = ["| | " + " | ".join(f"{row['title']}, {row['unit']}" for row in rows) + " |",
             "| --- |" + " ---: |" * len(rows)]
    for runner_id, entry in result["runners"].items():
        cells = [cell_text(row["cells"][runner_id], row["ratio"], notes) for row in rows]
        lines.append(f"| {entry['title']} | " + " | ".join(cells) + " |")
    lines.append("")
    for index, text in enumerate(notes.texts):
        lines.append(f"* [{index + 1}] not measured: {escape(text)}")
    return lines


def machine_lines(result):
    machine = result["machine"]
    who = "root" if machine["uid"] == 0 else f"an ordinary user (uid {machine['uid']})"
    lines = [
        f"Measured as {who} on {machine['date']}: {machine['system']}, kernel {machine['kernel']}, "
        f"{machine['cpus']} × {machine['cpu']}, {machine['memory_mib']:,} MiB, work folder on {machine['filesystem']}, "
        f"load before {machine['load_before']}, {result['rounds']} rounds" +
        (", --quick: far too short for more than a smoke test" if result["quick"] else "") +
        f", source {machine['source']}.",
        "",
        "Tools: " + "; ".join(version or f"{name}: not there" for name, version in machine["tools"].items()) + ".",
        "",
    ]
    for entry in result["runners"].values():
        facts = [text for text in (escape(entry["version"]), entry["note"]) if text]
        if facts:
            lines.append(f"* {entry['title']}: {'; '.join(facts)}")
    return lines


def markdown(result):
    rows = [f"* {row['title']}: {row['what']}" for row in result["rows"]]
    closing = [SLOW_LINE, "", spread_line(result)] + left_lines(result)
    return "\n".join(machine_lines(result) + [""] + table(result) + [""] + rows + [""] + closing) + "\n"


def left_lines(result):
    """Who left processes behind when the command had ended and two seconds had passed."""
    lines = []
    for runner_id, entry in result["runners"].items():
        rows = [row["title"] for row in result["rows"] if row["cells"][runner_id].get("left_behind")]
        if rows:
            lines.append(f"* {entry['title']} left processes behind, which were killed, in: {'; '.join(rows)}")
    return [""] + lines if lines else []


def spread_line(result):
    """How far the rounds of native lie apart: differences smaller than this mean nothing."""
    texts = []
    for row in result["rows"]:
        cell = row["cells"].get("native", {})
        if row["ratio"] and cell.get("median"):
            texts.append(f"{row['title']} {100 * (cell['max'] - cell['min']) / cell['median']:.0f} %")
    return "Spread of native over the rounds, (largest − smallest) / median: " + ("; ".join(texts) or "not measured") + "."


def update(path, result):
    """Replaces the block between the markers for this kind of user. Writes a new file and renames it into place."""
    who = "root" if result["machine"]["uid"] == 0 else "user"
    begin, end = BEGIN.format(who=who), END.format(who=who)
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise SystemExit(f"bench/run: {path}: wants the markers {begin} and {end}, once each, in this order")
    head, tail = text[: text.index(begin) + len(begin)], text[text.index(end):]
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(f"{head}\n{markdown(result)}{tail}")
    os.replace(temporary, path)
