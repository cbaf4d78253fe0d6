"""One assignment on the cpu engine against torch bfloat16, and against the
machine's limit.

    python -m tests.bench.engine_vs_torch MODEL [ROUNDS]

Torch is the best of batch 1, 2 and 4. Both compute the loss of the search: KL
to the reference over the whole vocabulary, and NLL. Torch finds the reference's
logits in memory, the engine computes them anew from the hidden states it keeps.
Beside it: torch with NLL alone, and without head and loss. The limit is the time
of bare oneDNN products of all the model's shapes (matmul_limit.cc).
"""
import pathlib
import sys

from tests.bench.alternate import Server, alternate, ratio
from tests.bench.torch_peer import TorchPeer

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build" / "release" / "tests"
SAMPLES, TOKENS = 4, 1024


def measure(model, rounds=5, with_limit=True):
    """Name -> Spread of tokens/s, and the ratios "torch", "torch nll" and
    "limit" (engine / those)."""
    peer = TorchPeer(model, SAMPLES, TOKENS)
    peer.rate(1, "kl")
    limits = []
    with Server(BUILD / "engine_bench", model, SAMPLES, TOKENS) as engine:
        engine.rate("single")
        ways = {"engine": lambda: engine.rate("single"),
                "torch": lambda: peer.best_rate("kl"),
                "torch, NLL alone": lambda: peer.best_rate("nll"),
                "torch, no head": lambda: peer.rate(2, "none")}
        if with_limit:
            limits.append(Server(BUILD / "matmul_limit", model, TOKENS))
            ways["limit"] = lambda: limits[0].ask()["tokens_per_second"]
        rates = alternate(rounds, ways)
    for limit in limits:
        limit.close()
    return rates, {f"engine / {name}": ratio(rates["engine"], spread)
                   for name, spread in rates.items() if name != "engine"}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rates, ratios = measure(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
    for name, spread in {**rates, **ratios}.items():
        print(f"{name:28s} {spread}")


if __name__ == "__main__":
    main()
