"""Promises, how they are run and how their lines are printed."""

import argparse
import dataclasses
import importlib
import json
import os
import pathlib
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"


@dataclasses.dataclass
class Outcome:
    """What a promise measured. `holds` decides the line's first word."""

    holds: bool
    measured: str
    asked: str


@dataclasses.dataclass
class Data:
    """What the promises are run on."""

    model: pathlib.Path
    texts: dict  # name -> path
    seed: int
    work: pathlib.Path  # scratch folder, kept

    def text(self, name):
        """The text called `name`, or the next best one that is there."""
        if name in self.texts:
            return self.texts[name]
        order = ["c4", "wiki", "code"]
        names = sorted(self.texts)
        index = order.index(name) if name in order else 0
        return self.texts[names[index % len(names)]]


def read_texts(place):
    path = pathlib.Path(place)
    if path.is_file():
        return {path.stem: path}
    found = sorted(path.glob("*.utf8")) + sorted(path.glob("*.txt"))
    if not found:
        sys.exit(f"show: no *.utf8 or *.txt in {path}")
    return {p.stem: p for p in found}


def remember(work, name, title, outcomes):
    """Keeps the last outcomes of every promise, for pages made of them."""
    path = work / "outcomes.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = {"title": title, "outcomes": [dataclasses.asdict(o) for o in outcomes]}
    path.write_text(json.dumps(known, indent=1))


def main():
    parser = argparse.ArgumentParser(prog="tests/show.sh")
    parser.add_argument("area", help="which promises: main, engine, search, service")
    parser.add_argument("--only", type=int, action="append", metavar="N")
    parser.add_argument("--model")
    parser.add_argument("--text")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        area = importlib.import_module(f"tests.show.area_{args.area}")
    except ModuleNotFoundError:
        known = sorted(p.stem[5:] for p in pathlib.Path(__file__).parent.glob("area_*.py"))
        parser.error(f"no area {args.area!r}; there are: {', '.join(known)}")
    cache = ROOT / ".cache"
    model = args.model or next((cache / "model").glob("*.gguf"))
    work = cache / "show" / args.area
    work.mkdir(parents=True, exist_ok=True)
    data = Data(
        pathlib.Path(model).resolve(),
        read_texts(args.text or cache / "text"),
        args.seed,
        work,
    )
    print(f"# model {data.model}, texts {', '.join(data.texts)}, seed {data.seed}, "
          f"{os.cpu_count()} cores", flush=True)
    short = 0
    for number, promise in enumerate(area.PROMISES, start=1):
        if args.only and number not in args.only:
            continue
        begin = time.time()
        try:
            outcomes = promise(data)
        except Exception:  # a promise that cannot be measured is not kept
            traceback.print_exc()
            outcomes = [Outcome(False, "could not be measured", "a measurement")]
        if isinstance(outcomes, Outcome):
            outcomes = [outcomes]
        title = " ".join((promise.__doc__ or promise.__name__).split())
        remember(work, promise.__name__, title, outcomes)
        for outcome in outcomes:
            word = "ok" if outcome.holds else "FALLS SHORT"
            short += not outcome.holds
            print(f"{number:2}. {word:11} | {outcome.measured} | asked: {outcome.asked} | "
                  f"{title} ({time.time() - begin:.0f} s)", flush=True)
    print(f"# {short} fall short" if short else "# all hold", flush=True)
    return 1 if short else 0
