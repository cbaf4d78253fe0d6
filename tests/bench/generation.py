"""What a task of many assignments saves against one task each, and what it
costs to switch between levels.

    python -m tests.bench.generation MODEL [ROUNDS]
"""
import sys

from tests.bench.alternate import Server, Spread, alternate, ratio
from tests.bench.engine_vs_torch import BUILD

SAMPLES, TOKENS = 2, 1024
PROBE_PARTS = 5  # the layers of a scan, dealt out to the rounds


def measure(model, rounds=5):
    """Name -> Spread: "generation" and "probes" against one by one, exact KL
    against NLL alone for 8 assignments that share nothing, and the shares of a
    task's time that go into unpacking, "warm" and "cold"."""
    shares = {"warm": [], "cold": []}
    with Server(BUILD / "engine_bench", model, SAMPLES, TOKENS) as engine:
        engine.ask("generation")
        engine.ask("batch 8")
        part = iter(range(rounds))

        def with_share(name, scenario):
            answer = engine.ask(scenario)
            shares[name].append(answer["prepare_seconds"] / answer["seconds"])
            return answer["tokens"] / answer["seconds"]

        def probes():
            scenario = f"probes {next(part) % PROBE_PARTS}"
            engine.ask(scenario)  # unpack what the scan needs
            return engine.rate(scenario)

        rates = alternate(rounds, {
            "one by one": lambda: engine.rate("one-by-one"),
            "generation": lambda: with_share("warm", "generation"),
            "probes": probes,
            "8 with KL": lambda: engine.rate("batch 8"),
            "8 with NLL alone": lambda: engine.rate("nll 8"),
            "cold generation": lambda: with_share("cold", "cold-generation")})
    return rates, {
        "generation / one by one": ratio(rates["generation"], rates["one by one"]),
        "probes / one by one": ratio(rates["probes"], rates["one by one"]),
        "time with KL / NLL alone": ratio(rates["8 with NLL alone"], rates["8 with KL"]),
        "unpacking, warm": Spread(shares["warm"]),
        "unpacking, cold": Spread(shares["cold"])}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rates, ratios = measure(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
    for name, spread in {**rates, **ratios}.items():
        print(f"{name:28s} {spread}")


if __name__ == "__main__":
    main()
