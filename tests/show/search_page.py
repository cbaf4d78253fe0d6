"""Writes docs/search.md from the kept runs (search_runs.json) and the last
outcomes of `tests/show.sh search`.

    python -m tests.show.search_page
"""
import json
import statistics

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from tests.show import search_runs
from tests.show.harness import ROOT
from tests.show.search_runs import mean

PAGE = ROOT / "docs" / "search.md"
PLOT = ROOT / "docs" / "pictures" / "search.svg"
OUTCOMES = ROOT / ".cache" / "show" / "search" / "outcomes.json"
TITLE = """# What the search reaches

Written by `python -m tests.show.search_page` from `tests/show.sh search` and from the runs kept in `tests/show/search_runs.json`. SmolLM2-135M, 2 to 6 bits in groups of 64 (the default menu), calibrated on c4. KL is the held-out mean over wiki, code and c4, 16,384 tokens each, in nats a token. Tokens are all that ran through a compressed model during the search, anchors, probes and the decision included, with nothing taken off for shared prefixes; held-out tokens are on no ledger. Calibration, decision and held-out tokens are disjoint."""


def kinds(runs):
    """{(target, group, strategy): [run of each seed]}"""
    by_kind = {}
    for name, run in runs.items():
        if "curve" not in run:
            continue
        strategy, target, group, _ = name.split("-")
        by_kind.setdefault((target, group, strategy), []).append(run)
    return dict(sorted(by_kind.items()))


def plot(by_kind):
    targets = sorted({target for target, _, _ in by_kind}, key=float)
    figure, axes = plt.subplots(1, len(targets), figsize=(4 * len(targets), 3.2), squeeze=False)
    for axis, target in zip(axes[0], targets):
        for (at, group, strategy), runs in by_kind.items():
            if at != target:
                continue
            color = {("guided", "none"): "C1", ("guided", "size"): "C0"}.get(
                (strategy, group), "C7" if strategy == "evopress" else "C3")
            for i, run in enumerate(runs):
                x, y = zip(*run["curve"])
                axis.plot(x, y, color=color, marker=".", linewidth=1,
                          label=f"{strategy}, {group}" if i == 0 else None)
        axis.set_xscale("log")
        axis.set_title(f"{target} bits")
        axis.set_xlabel("tokens")
        axis.legend(fontsize=7)
    axes[0][0].set_ylabel("held-out KL")
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})


def main():
    by_kind = kinds(search_runs.kept())
    page = [TITLE]
    if by_kind:
        plot(by_kind)
        rows = ["| bits | layers that exchange | strategy | tokens | held-out KL, each seed | "
                "over uniform's |", "| --- | --- | --- | --- | --- | --- |"]
        for (target, group, strategy), runs in by_kind.items():
            tokens = statistics.median(run["tokens"] for run in runs)
            values = ", ".join(f"{mean(run['kl']):.4f}" for run in runs)
            share = statistics.median(mean(run["kl"]) / mean(run["uniform"]) for run in runs)
            what = {"size": "of one size", "none": "all"}[group]
            rows.append(f"| {target} | {what} | {strategy} | {tokens:,.0f} | {values} | "
                        f"{share:.3f} |")
        page += ["\n".join(rows), "![held-out KL over tokens](pictures/search.svg)"]
    if OUTCOMES.exists():
        rows = ["## The promises", "| | measured | asked |", "| --- | --- | --- |"]
        for promise in json.loads(OUTCOMES.read_text()).values():
            for i, outcome in enumerate(promise["outcomes"]):
                title = promise["title"] if i == 0 else ""
                word = "ok" if outcome["holds"] else "**falls short**"
                rows.append(f"| {title} | {word}: {outcome['measured']} | "
                            f"{outcome['asked']} |")
        page.append(rows[0] + "\n\n" + "\n".join(rows[1:]))
    PAGE.write_text("\n\n".join(page) + "\n")
    print("wrote", PAGE)


if __name__ == "__main__":
    main()
