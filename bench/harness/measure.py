"""The order of measuring: row by row, in each row round by round, in each round runner by runner."""
import statistics
import sys

from .context import Impossible


def say(text):
    print(text, file=sys.stderr, flush=True)


def prepare(runners):
    """Readies each runner. Returns {id: {"title", "version"|"reason", ...}} in the runners' order."""
    found = {}
    for runner in runners:
        entry = found[runner.id] = {"title": runner.title, "note": runner.note, "available": True, "version": ""}
        try:
            entry["version"] = runner.prepare() or ""
        except Impossible as problem:
            entry.update(available=False, reason=problem.reason, stderr_tail=problem.stderr_tail)
    return found


def refuse(cell, problem, step):
    cell.update(reason=problem.reason, stderr_tail=problem.stderr_tail, failed_in=step)


def sample(row, runner, small, cell, step):
    context = row.context
    context.left_behind = 0
    try:
        return row.measure(runner, small)
    except Impossible as problem:
        refuse(cell, problem, step)
        return None
    finally:
        cell["left_behind"] += context.left_behind


def probe(row, runner, entry, cell, quick):
    """Whether the runner can do the row at all: also the warm-up. A quick run's first round finds it out instead."""
    if not entry["available"]:
        refuse(cell, Impossible(entry["reason"], entry["stderr_tail"]), "prepare")
        return False
    try:
        row.refuse(runner)
    except Impossible as problem:
        refuse(cell, problem, "row")
        return False
    return quick or sample(row, runner, True, cell, "probe") is not None


def measure_row(row, runners, entries, rounds, quick):
    """One row. Returns {runner id: cell}; a cell has samples, or a reason."""
    cells = {runner.id: {"samples": [], "left_behind": 0} for runner in runners}
    able = [runner for runner in runners if probe(row, runner, entries[runner.id], cells[runner.id], quick)]
    for number in range(rounds):
        for runner in list(able):
            value = sample(row, runner, quick, cells[runner.id], f"round {number + 1}")
            if value is None:
                able.remove(runner)
            else:
                cells[runner.id]["samples"].append(value)
    summarise(cells, row.ratio)
    return cells


def summarise(cells, ratio):
    """
    Median, extremes, and the ratio to native: the median of the ratios within each round, so that a drift of the machine,
    which meets both alike, falls out.
    """
    native = cells.get("native", {})
    for cell in cells.values():
        if "reason" in cell:
            continue
        samples = cell["samples"]
        cell.update(median=statistics.median(samples), min=min(samples), max=max(samples))
        if ratio and "reason" not in native and native.get("samples"):
            cell["ratio"] = statistics.median(own / base for own, base in zip(samples, native["samples"]))


def measure(rows, runners, rounds, quick):
    entries = prepare(runners)
    results = []
    for row in rows:
        say(f"bench: {row.id}: {row.title}")
        cells = measure_row(row, runners, entries, rounds, quick)
        size = row.quick if quick else row.full
        results.append({"id": row.id, "title": row.title, "unit": row.unit, "ratio": row.ratio,
                        "what": row.what.format(full=f"{size:,}"), "cells": cells})
    return entries, results
