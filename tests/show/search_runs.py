"""Searches on one level store, and the file that keeps what long ones found.

    python -m tests.show.search_runs NAME...   runs searches and keeps them
    python -m tests.show.search_runs --list    names, kept or not

A run's name tells its strategy, target, group rule and seed, for example
`evopress-3-size-1`; `untouched-1` is a search of many budgets with seed 1. What
is kept of it (search_runs.json): the flags, the history's hash and the winner's,
tokens, the held-out KL by domain and that of the uniform assignment beside it,
and the same after fewer tokens; of a search of many budgets winners and anchors.
Held-out tokens are on no ledger.
"""
import hashlib
import json
import pathlib
import statistics
import sys

from tests.show.harness import ROOT, Data, read_texts
from tests.show.service import evopress

KEPT = pathlib.Path(__file__).with_name("search_runs.json")
DOMAINS = ("wiki", "code", "c4")
HELD_OUT_TOKENS = 16384
# The faithful strategy at 30 x 32; the long one has 150 generations.
EVOPRESS = ["--offspring", 32, "--survivors", "8,2,1", "--tokens", "1024,2048,8192"]
FORTY = "2.25,2.4,2.5,2.6,2.75,3,3.25,3.5,3.75,4"  # with four seeds
SHORT = ["--sequence-length", 256]
MARKS = (430_000, 800_000)
GUIDED_MARKS = (270_000, 430_000)  # where a guided search is looked at, beside its end


def split(data, name, share=0.75):
    """The first `share` of a text and the rest, as two files."""
    paths = [data.work / f"{name}-{part}.txt" for part in ("calibration", "held-out")]
    if not all(path.exists() for path in paths):
        lines = data.text(name).read_text().splitlines(keepends=True)
        cut = int(share * len(lines))
        for path, part in zip(paths, (lines[:cut], lines[cut:])):
            path.write_text("".join(part))
    return paths


def identity(data):
    """What a run depends on beside its flags: hashes of the model and the texts."""
    files = [data.model] + [path for name in DOMAINS for path in split(data, name)]
    return [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files]


def held_out(data):
    flags = ["--held-out-tokens", HELD_OUT_TOKENS]
    for name in DOMAINS:
        flags += ["--held-out", f"{name}={split(data, name)[1]}"]
    return flags


def search(data, *flags, seed=None, calibration=None):
    """A search on the store that all runs share; calibrates on c4 alone unless
    told otherwise. Returns the job with its results, and the folder of these as
    `out`."""
    seed = data.seed if seed is None else seed
    name = hashlib.sha256(repr((flags, seed)).encode()).hexdigest()[:12]
    calibration = calibration or ["--text", split(data, "c4")[0]]
    out = data.work / "out" / name
    job = evopress("search", data.model, *calibration, *held_out(data), "--seed", seed,
                   "--data", data.work / "store", "--out", out, "--force", *flags)
    job["out"] = out
    job["winner"] = json.loads((out / "recipe.json").read_text()).get("assignment_hash")
    return job


def row(job, name="winner"):
    return next(r for r in job["results"]["rows"] if r["name"].startswith(name))


def kl(entry):
    """Held-out KL by domain of a row of results."""
    return {domain["domain"]: domain["kl"]["mean"] for domain in entry["held_out"]}


def mean(by_domain):
    return statistics.fmean(by_domain.values())


def figures(job):
    winner = row(job)
    return {"tokens": job["search_tokens"], "history": job["history_hash"],
            "winner": job["winner"], "fitness": winner["fitness"], "kl": kl(winner),
            "costs": winner["costs"]}


def flags_of(name):
    """`STRATEGY-TARGET-GROUP-SEED`, STRATEGY evopress, evopress150 or guided;
    guided430 is guided with at most 430,000 tokens."""
    strategy, target, group, seed = name.split("-")
    flags = ["--target-bits", target, "--group", group]
    if strategy.startswith("evopress"):
        flags += ["--strategy", "evopress", "--generations",
                  strategy.removeprefix("evopress") or 30, *EVOPRESS]
    else:
        flags += ["--strategy", "guided"]
        if thousands := strategy.removeprefix("guided"):
            flags += ["--max-tokens", int(thousands) * 1000]
    return flags, int(seed)


def run(data, name):
    if name.startswith("untouched-"):
        return untouched(data, int(name.removeprefix("untouched-")))
    flags, seed = flags_of(name)
    marks = GUIDED_MARKS if name.startswith("guided") else MARKS
    job = search(data, *flags, seed=seed)
    found = {"flags": [str(f) for f in flags], "seed": seed,
             "numeric_class": job["numeric_class"], "data": identity(data),
             **figures(job), "uniform": kl(row(job, "uniform")), "curve": []}
    for mark in marks:
        if mark < found["tokens"] and "--max-tokens" not in flags:
            less = search(data, *flags, "--max-tokens", mark, seed=seed)
            found["curve"].append([less["search_tokens"], mean(kl(row(less)))])
    found["curve"].append([found["tokens"], mean(found["kl"])])
    return found


def untouched(data, seed):
    """A search of many budgets on short sequences; by target the winner, the anchor
    that it is if any, and the anchors of that search, on the untouched set."""
    job = search(data, *SHORT, "--strategy", "guided", "--group", "none", "--target-bpw", FORTY,
                 seed=seed)
    anchors = anchors_of(data, job)
    return {"seed": seed, "numeric_class": job["numeric_class"], "data": identity(data),
            "history": job["history_hash"], "tokens": job["search_tokens"],
            "pairs": [[target, value, anchor, anchors[target]]
                      for target, value, anchor in winners(job)]}


def anchors_of(data, job):
    """Mean held-out KL of the anchors of a job's searches by target; first the one
    that was best in the decision."""
    layers = [line.split(":")[0] for line in
              (job["out"] / winners(job)[0][0] / "evopress.txt")
              .read_text().splitlines()]
    folder = job["out"] / "anchors"
    folder.mkdir(exist_ok=True)
    files = {}
    for told in evopress("jobs", "rounds", job["job"], "--data", data.work / "store"):
        target, _, purpose = told["purpose"].partition(": ")
        if not purpose.startswith("decision"):
            continue
        # Uniform, then dp and weighted dp; what was found comes last.
        flat = [e for e in told["evaluations"] if len(set(e["levels"])) == 1]
        solved = [e for e in told["evaluations"] if len(set(e["levels"])) > 1][:2]
        files[target] = []
        for i, anchor in enumerate(sorted(flat + solved, key=lambda e: e["kl"])):
            path = folder / f"{target}-{i}.txt"
            path.write_text("".join(f"{layer}: {level + 2}\n" for layer, level in
                                    zip(layers, anchor["levels"], strict=True)))
            files[target].append(path)
    paths = [path for ranked in files.values() for path in ranked]
    compared = evopress("compare", data.model, *[f"{p.parent.name}-{p.stem}={p}" for p in paths],
                        "--calibration", split(data, "c4")[0],
                        *(f for d in DOMAINS for f in
                          ("--text", f"{d}={split(data, d)[1]}")),
                        "--text-tokens", HELD_OUT_TOKENS, *SHORT, "--data", data.work / "store")
    values = {path: mean(kl(r)) for path, r in zip(paths, compared["results"]["rows"])}
    return {target: [values[path] for path in ranked] for target, ranked in files.items()}


def winners(job):
    """(target, mean held-out KL, the anchor that it is or None) of a job of
    many budgets."""
    return [(r["target"], mean(kl(r)), r.get("anchor")) for r in job["results"]["rows"]
            if r.get("target")]


def kept():
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


def keep(name, found):
    runs = kept() | {name: found}
    KEPT.write_text(json.dumps(dict(sorted(runs.items())), indent=1) + "\n")


def default_data():
    cache = ROOT / ".cache"
    work = cache / "show" / "search"
    work.mkdir(parents=True, exist_ok=True)
    return Data(next((cache / "model").glob("*.gguf")).resolve(), read_texts(cache / "text"),
                1, work)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--list":
        for name, found in kept().items():
            print(name, found["tokens"], f"{mean(found['kl']):.4f}" if "kl" in found else "")
        return
    data = default_data()
    for name in sys.argv[1:]:
        if name in kept():
            continue
        keep(name, run(data, name))
        print(name, kept()[name]["tokens"], flush=True)


if __name__ == "__main__":
    main()
