"""Writes docs/performance.md and its plot from what `tests/show.sh engine`
measured last.

    python -m tests.bench.performance_page
"""
import json
import os
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEASURED = ROOT / ".cache" / "show" / "engine"
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "pictures" / "growth.svg"
HOURS = 3600


def read(name):
    """The figures of a promise, None if it has not been run here."""
    path = MEASURED / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def spread_rows(figures, unit):
    return [[name, f"{statistics.median(v):{unit}}", f"{min(v):{unit}}", f"{max(v):{unit}}"]
            for name, v in figures.items()]


def rates_and_ratios(figures):
    rates = {k: v for k, v in figures.items() if min(v) > 20}
    ratios = {k: v for k, v in figures.items() if k not in rates}
    return "\n\n".join([
        table(["tokens/s", "median", "least", "most"], spread_rows(rates, ".0f")),
        table(["ratio", "median", "least", "most"], spread_rows(ratios, ".3f"))])


def plot(rows):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "evopress"
    matplotlib.rcParams["svg.fonttype"] = "none"  # text as text, not as outlines
    import matplotlib.pyplot as plt
    kinds = list(dict.fromkeys(row["what"] for row in rows))
    figure, axes = plt.subplots(2, len(kinds), figsize=(3 * len(kinds), 5), squeeze=False)
    for column, kind in enumerate(kinds):
        points = [row for row in rows if row["what"] == kind]
        x = [row["value"] for row in points]
        for row, (values, label) in enumerate([
                ([statistics.median(p["rates"]) for p in points], "tokens/s"),
                ([p["peak_bytes"] / 2**20 for p in points], "peak MiB")]):
            axis = axes[row][column]
            axis.plot(x, values, "o-", color="#2a78a0")
            axis.set_xscale("log", base=2)
            axis.set_xticks(x, x)
            axis.minorticks_off()
            axis.set_ylim(0, 1.1 * max(values))
            axis.set_title(kind if row == 0 else "")
            axis.set_ylabel(label if column == 0 else "")
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})


def single(figures):
    return f"""{rates_and_ratios(figures)}

`limit` is the time of bare oneDNN products of all shapes of the model (`tests/bench/matmul_limit.cc`). Torch is the best of batch 1, 2 and 4, with the same loss: KL over the whole vocabulary and NLL."""


def memory(figures):
    return f"""64 sequences of 1,024 tokens × 32 assignments: {figures["beside_gib"]:.2f} GiB beside the prepared weights. With `--memory 1GiB` the bits are the same at {statistics.median(figures["tight / roomy"]):.2f} × the speed."""


def levels(figures):
    speedup, errors, plain = figures["speedup"], figures["errors"], figures["plain_errors"]
    return f"""Levels of 2 to 6 bits in groups of 64 from 131,072 tokens, as a job builds them unless told otherwise (act-order and scale search), against GPTQ in PyTorch (`tests/bench/levels_vs_torch.py`): {statistics.median(speedup):.2f} [{min(speedup):.2f}, {max(speedup):.2f}] × on the model's first blocks, in turns; all of the model, once: {figures["whole_seconds"]:.0f} s against {figures["whole_torch_seconds"]:.0f} s.

Layer errors are {errors["mean"]:.3f} × PyTorch's (geometric mean; at most {errors["worst"]:.3f} ×; above it in {errors["worse"]} of {errors["of"]} levels). The published algorithm alone, without the two refinements, gives {plain["mean"]:.4f} × (at most {plain["worst"]:.3f} ×): the same but for which way single roundings fall."""


def growth(rows):
    plot(rows)
    grown = table(["grows", "to", "tokens/s", "peak MiB"],
                  [[row["what"], row["value"], f"{statistics.median(row['rates']):.0f}",
                    f"{row['peak_bytes'] / 2**20:.0f}"] for row in rows])
    return f"{grown}\n\n![tokens/s and memory over size](pictures/growth.svg)"


def profile(ways):
    return f"""The reference's way (8 offspring, by the clock):

{shares_table(ways["reloading"])}

The engine (32 offspring, warm, sampled by perf):

{shares_table(ways["engine"])}"""


def shares_table(shares):
    return table(["part", "share of the time"],
                 [[part, f"{100 * share:.1f} %"]
                  for part, share in sorted(shares.items(), key=lambda item: -item[1])])


def gpu_estimate():
    """On paper: 2 operations a weight and token, 40 % of an 80 GB GPU's 990
    TFLOP/s in bf16, 32 offspring sharing a quarter of the blocks."""
    rows = []
    for name, weights, layers_gb in (("8B", 8.0e9, 16), ("70B", 70e9, 140)):
        rate = 0.4 * 990e12 / (2 * weights)
        tokens = 2.2e6
        seconds = tokens / rate / 1.25
        # 70B in bf16 does not fit: blocks stream over PCIe at 25 GB/s, once a task.
        streams = 0 if layers_gb < 72 else 30 * 3 * layers_gb / 25
        rows.append([name, f"{rate:,.0f}", f"{seconds / 60:.0f} min",
                     f"{streams / 60:.0f} min", f"{(seconds + streams) / HOURS:.1f} h"])
    return table(["model", "tokens/s", "compute of 2.2 M tokens", "streaming of weights",
                  "in all"], rows)


SECTIONS = (("One assignment", "single", single),
            ("A generation against its parts", "sharing", rates_and_ratios),
            ("A generation against reloading", "reloading", rates_and_ratios),
            ("Where the time of a generation goes", "profile", profile),
            ("Memory", "memory", memory),
            ("Building levels", "levels", levels),
            ("How cost grows", "growth", growth))


def main():
    page = [f"""# Performance of the engine

Written by `tests/bench/performance_page.py` from `tests/show.sh engine`, on {os.cpu_count()} cores of {cpu()}. Every ratio was measured in one run, in turns; a figure is the median of the repetitions with the least and the most beside it. Absolute rates say how fast this machine was on that day."""]
    for title, name, write in SECTIONS:
        figures = read(name)
        page.append(f"## {title}")
        page.append(write(figures) if figures else
                    "Not measured here; run `tests/show.sh engine`.")
        if not figures:
            print(f"{MEASURED / name}.json is missing", file=sys.stderr)
    page.append(f"""## On one 80 GB GPU, on paper

{gpu_estimate()}

Nothing of this table was measured: 2 operations a weight and token, 40 % of 990 TFLOP/s, sharing of 1.25 ×, and for 70B the weights streamed once a task over 25 GB/s.
""")
    PAGE.write_text("\n\n".join(page))
    print(f"wrote {PAGE}")


def cpu():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "an unknown processor"


if __name__ == "__main__":
    main()
