"""The promises of the evaluation engine: speed, sharing, memory, invariance."""

import json
import os
import pathlib
import shutil
import subprocess

import torch

from tests.bench import (engine_vs_reload, engine_vs_torch, generation, growth,
                         levels_vs_torch, profile)
from tests.bench.alternate import Server, Spread, alternate, ratio
from tests.show.area_main import LENGTH, sequences
from tests.show.harness import BUILD, ROOT, Outcome
from tests.show.service import run

GIB = 1 << 30
BENCH = BUILD / "tests" / "engine_bench"
ROUNDS = 5


def record(data, name, figures):
    """Keeps what docs/performance.md is made of (tests/bench/performance_page.py)."""
    (data.work / f"{name}.json").write_text(json.dumps(figures, indent=1))


def numbers(spreads):
    return {name: spread.values for name, spread in spreads.items()}


def single(data):
    """Evaluation of one assignment: at least 3 x torch in tokens/s, loss
    included, and at least 60 % of the time of bare oneDNN products."""
    rates, ratios = engine_vs_torch.measure(data.model, ROUNDS)
    record(data, "single", numbers({**rates, **ratios}))
    ours, limit = ratios["engine / torch"], ratios["engine / limit"]
    return [Outcome(ours.median >= 3, f"{ours} x torch ({ratios['engine / torch, NLL alone']} x "
                    f"with NLL alone in torch), {rates['engine']} tokens/s", "3 x"),
            Outcome(limit.median >= 0.6, f"{limit} of the limit", "0.60")]


def sharing(data):
    """A generation of 32 offspring: at least 1.2 x the tokens/s of one by one;
    one-layer probes over all layers at least 1.5 x; exact KL in at most 1.15 x
    the time of NLL alone for 8 assignments; unpacking levels under 5 % of a warm
    task and 15 % of a cold one."""
    rates, ratios = generation.measure(data.model, ROUNDS)
    record(data, "sharing", numbers({**rates, **ratios}))
    offspring, probes = ratios["generation / one by one"], ratios["probes / one by one"]
    warm, cold = ratios["unpacking, warm"], ratios["unpacking, cold"]
    divergence = ratios["time with KL / NLL alone"]
    return [Outcome(offspring.median >= 1.2, f"generation {offspring} x", "1.2 x"),
            Outcome(probes.median >= 1.5, f"probes {probes} x", "1.5 x"),
            Outcome(divergence.median <= 1.15, f"KL in {divergence} x the time of NLL", "1.15 x"),
            Outcome(warm.median < 0.05, f"warm {100 * warm.median:.2f} %", "under 5 %"),
            Outcome(cold.median < 0.15, f"cold {100 * cold.median:.2f} %", "under 15 %")]


def reloading(data):
    """A generation at 5 x the tokens/s of the reference's way: reload changed
    layers, torch bf16 forward, KL over full logits."""
    rates, against = engine_vs_reload.measure(data.model, ROUNDS)
    record(data, "reloading", numbers({**rates, "engine / reloading": against}))
    return Outcome(against.median >= 5, f"{against} x", "5 x")


def memory(data):
    """Peak memory of 64 sequences x 32 assignments below 4 GiB beside the
    prepared weights; with --memory 1GiB the same bits, slower."""
    with Server(BENCH, data.model, 64, LENGTH) as engine:
        # Memory no longer grows once the second set of sequences is begun.
        answer = engine.ask("part 0.32")
    beside = (answer["peak_bytes"] - answer["prepared_bytes"]) / GIB
    with Server(BENCH, data.model, 2, LENGTH) as roomy, \
            Server(BENCH, data.model, 2, LENGTH, "--memory", GIB) as tight:
        rates = alternate(3, {"roomy": lambda: roomy.rate("generation"),
                              "tight": lambda: tight.rate("generation")})
        equal = roomy.ask("hash 32") == tight.ask("hash 32")
        last = tight.ask("single")
    slower = ratio(rates["tight"], rates["roomy"])
    record(data, "memory", {"beside_gib": beside, "tight / roomy": slower.values,
                            "tight_peak_gib": last["peak_bytes"] / GIB})
    return [Outcome(beside < 4, f"{beside:.2f} GiB beside {answer['prepared_bytes'] / GIB:.2f} GiB "
                    "of prepared weights", "4 GiB"),
            Outcome(equal, f"1 GiB: {'equal' if equal else 'OTHER'} bits at {slower} x the speed, "
                    f"peak {last['peak_bytes'] / GIB:.2f} GiB", "equal bits")]


def levels(data):
    """Building levels of 2-6 bits from 131,072 tokens at least 4 x faster than
    a straightforward GPTQ in PyTorch, errors no worse, the store at most 1/3
    of half-precision copies."""
    text = data.text("c4")
    ids, _ = sequences(data, text, 128)
    found = levels_vs_torch.measure(data.model, text, ids, ROUNDS)
    record(data, "levels", found)
    share = found["bytes"] / (2 * found["weights"] * len(levels_vs_torch.BITS))
    speedup, errors, plain = Spread(found["speedup"]), found["errors"], found["plain_errors"]
    return [Outcome(speedup.median >= 4, f"{speedup} x on {levels_vs_torch.BLOCKS} blocks in "
                    f"turns; all blocks once, {found['whole_seconds']:.0f} s against "
                    f"{found['whole_torch_seconds']:.0f} s", "4 x"),
            Outcome(errors["mean"] <= 1, f"errors {errors['mean']:.3f} x on average, at most "
                    f"{errors['worst']:.3f} x, above 1 x in {errors['worse']} of {errors['of']}; "
                    f"without act-order and scale search {plain['mean']:.4f} x, at most "
                    f"{plain['worst']:.3f} x", "1"),
            Outcome(share <= 1 / 3, f"{share:.3f} of fp16 copies", "0.333")]


def invariance(data):
    """The same bits over 1, 3 and 32 assignments in a task, 1 and 2 threads,
    any order."""
    seen = {}
    for threads in (1, 2):
        with Server(BENCH, data.model, 1, LENGTH, "--threads", threads) as engine:
            for scenario in ("hash 1", "hash 3", "hash 32", "hash 32 reverse", "hash 3 reverse"):
                for child, digest in enumerate(engine.ask(scenario)["hashes"]):
                    seen.setdefault(child, set()).add(digest)
    most = max(len(digests) for digests in seen.values())
    return Outcome(most == 1 and len(seen) == 32, f"{len(seen)} assignments, at most {most} "
                   "value each in 10 tasks", "1 value each")


def suites(data):
    """The suite of all evaluators passes on cpu and on torch, on tiny random
    models of this seed too."""
    golden = data.work / "tiny"
    shutil.rmtree(golden, ignore_errors=True)
    run(pathlib.Path(os.sys.executable), ROOT / "tests/golden/make_engine_goldens.py", "tiny",
        golden, data.seed)
    folder = pathlib.Path(torch.__file__).parent
    with open(data.work / "torch_build.log", "w") as log:
        for step in (["cmake", "--preset", "torch", f"-DEVOPRESS_TORCH_ROOT={folder}"],
                     ["cmake", "--build", "--preset", "torch", "--target",
                      "worker_torch_evaluator_test"]):
            subprocess.run(step, cwd=ROOT, check=True, stdout=log, stderr=subprocess.STDOUT)
    outcomes = []
    for name, tests in (("cpu", ["worker_evaluator_test", "worker_engine_golden_test"]),
                        ("torch", ["worker_torch_evaluator_test"])):
        build = ROOT / "build" / ("torch" if name == "torch" else "release")
        for goldens in ({}, {"EVOPRESS_ENGINE_GOLDENS": str(golden)}):
            lines, code = [], 0
            for test in tests:
                done = subprocess.run([build / "tests" / test], capture_output=True, text=True,
                                      env=dict(os.environ, **goldens))
                lines += done.stdout.splitlines()
                code = code or done.returncode
            passed = sum("[       OK ]" in line for line in lines)
            found = [float(line.split("correlation ")[1]) for line in lines
                     if "correlation " in line]
            outcomes.append(Outcome(
                code == 0 and passed > 0,
                f"{name}, {'models of this seed' if goldens else 'committed models'}: "
                f"{passed} tests, exit {code}, lowest correlation {min(found):.5f}", "exit 0"))
    return outcomes


def cost_growth(data):
    """How tokens/s and memory grow as depth, width, sequence length,
    assignments and sequences double."""
    rows = growth.measure()
    record(data, "growth", [
        {"what": what, "value": getattr(point, what), "rates": rate.values, "peak_bytes": peak}
        for what, point, rate, peak in rows])
    wanted = sum(len(values) for values in growth.STEPS.values())
    return Outcome(len(rows) == wanted, f"{len(rows)} points", f"{wanted}")


def where_time_goes(data):
    """Where the time of a generation goes, here and in the reference's way."""
    found = profile.measure(data.model)
    record(data, "profile", found)
    other = found["engine"].get("other", 0)
    most = max(found["engine"], key=found["engine"].get)
    return Outcome(other <= 0.1, f"{100 * other:.1f} % unnamed, most in {most} "
                   f"({100 * found['engine'][most]:.0f} %)", "at most 10 % unnamed")


PROMISES = [single, sharing, reloading, memory, levels, invariance, suites,
            cost_growth, where_time_goes]
