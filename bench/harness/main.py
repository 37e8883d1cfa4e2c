"""The command line of bench/run."""
import argparse
import json
import os

from . import machine, measure, plot, report
from . import rows as what
from . import runners as ways
from .context import Context

FORMAT = 1
FULL_ROUNDS = 5
QUICK_ROUNDS = 2
SOURCE_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures ways to run a command side by side: each "
                                     "row round by round, each round runner by runner.")
    names = ", ".join
    parser.add_argument("--rows", help="only these, by commas: " + names(row.id for row in what.ALL))
    parser.add_argument("--runners", help="only these, by commas: " + names(runner.id for runner in ways.ALL))
    parser.add_argument("--rounds", type=int, help=f"rounds in each row ({FULL_ROUNDS}; with --quick {QUICK_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="a smoke run of at most a minute; its numbers mean little")
    parser.add_argument("--json", metavar="FILE", help="write everything, samples too, as JSON ('-': standard output)")
    parser.add_argument("--table", action="store_true", help="print the Markdown table (so it does when nothing else is asked)")
    parser.add_argument("--plot", metavar="FILE", help="write the ratios as SVG")
    parser.add_argument("--update", metavar="FILE", help="refresh the block between this user's markers in a document")
    parser.add_argument("--from", metavar="FILE", dest="source", help="measure nothing: take the JSON of an earlier run")
    parser.add_argument("--shellguard", metavar="PATH", help="the program (BUILD/shellguard)")
    parser.add_argument("--build", default=os.path.join(SOURCE_ROOT, "build"), help="the meson build folder (%(default)s)")
    parser.add_argument("--workdir", default="/var/tmp", help="a folder on disk for the work folder (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="do not remove the work folder; its name is printed")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds if options.rounds is not None else QUICK_ROUNDS if options.quick else FULL_ROUNDS
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    options.rows = choose(parser, "--rows", options.rows, what.ALL)
    options.runners = choose(parser, "--runners", options.runners, ways.ALL)
    return options


def choose(parser, option, text, known):
    """The classes named in `text`, in the order of `known`; all for None."""
    if text is None:
        return known
    wanted = [name.strip() for name in text.split(",")]
    for name in wanted:
        if name not in [item.id for item in known]:
            parser.error(f"{option}: unknown: {name} (known: {', '.join(item.id for item in known)})")
    return [item for item in known if item.id in wanted]


def run(options):
    context = Context(options, SOURCE_ROOT)
    try:
        if options.keep:
            measure.say(f"bench: work folder {context.work}")
        described = machine.describe(context)
        runners = [runner(context) for runner in options.runners]
        entries, results = measure.measure([row(context) for row in options.rows], runners, options.rounds, options.quick)
    finally:
        context.close()
    return {"format": FORMAT, "quick": options.quick, "rounds": options.rounds, "machine": described,
            "runners": entries, "rows": results}


def load(path):
    with open(path, encoding="utf-8") as stream:
        result = json.load(stream)
    if result.get("format") != FORMAT:
        raise SystemExit(f"bench/run: {path}: not of format {FORMAT}")
    return result


def write(path, text):
    if path == "-":
        print(text, end="")
        return
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def main(arguments=None):
    options = parse(arguments)
    result = load(options.source) if options.source else run(options)
    if options.json:
        write(options.json, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if options.plot:
        write(options.plot, plot.svg(result))
    if options.update:
        report.update(options.update, result)
    if options.table or not (options.json or options.plot or options.update):
        print(report.markdown(result), end="")
    return 0
