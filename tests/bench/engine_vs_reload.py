"""A generation on the cpu engine against how it is done with scripts today:
for each candidate load the layers that changed from disk, run the model in
torch bfloat16 one sequence at a time, and take the KL over full logits.

    python -m tests.bench.engine_vs_reload MODEL [ROUNDS]
"""
import random
import shutil
import sys
import tempfile
import time

import torch

from tests.bench.alternate import Server, alternate, ratio
from tests.bench.engine_vs_torch import BUILD
from tests.bench.torch_peer import TorchPeer

SAMPLES, TOKENS = 2, 1024
BITS = range(2, 7)
CANDIDATES = 8  # of the 32, per round: the rate does not depend on how many
GROUP = 64


def round_to_nearest(weight, bits):
    groups = weight.float().reshape(weight.shape[0], -1, GROUP)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    scale = ((high - low) / (2 ** bits - 1)).clamp(min=1e-8)
    return ((groups - low) / scale).round().mul(scale).add(low).reshape(weight.shape)


class ReloadingPeer(TorchPeer):
    """The database of levels is a file of half-precision weights for each."""

    def __init__(self, path, folder):
        super().__init__(path, SAMPLES, TOKENS)
        self.folder = folder
        self.layers = {name: module for name, module in self.model.named_modules()
                       if isinstance(module, torch.nn.Linear) and "lm_head" not in name}
        for name, module in self.layers.items():
            for bits in BITS:
                torch.save(round_to_nearest(module.weight, bits).half(), self.file(name, bits))
        self.loaded = {}
        rng = random.Random(1)
        names = sorted(self.layers)
        self.parent = {name: 3 for name in names}
        for _ in range(len(names) // 4):
            self.switch(rng, self.parent)
        self.children = []
        for _ in range(CANDIDATES):
            child = dict(self.parent)
            for _ in range(min(rng.randint(1, 3), rng.randint(1, 3))):
                self.switch(rng, child)
            self.children.append(child)

    def file(self, name, bits):
        return f"{self.folder}/{name}.{bits}.pt"

    @staticmethod
    def switch(rng, bits):
        while True:
            up, down = rng.sample(sorted(bits), 2)
            if bits[up] < BITS[-1] and bits[down] > BITS[0]:
                bits[up] += 1
                bits[down] -= 1
                return

    def load(self, child):
        for name, bits in child.items():
            if self.loaded.get(name) != bits:
                weight = torch.load(self.file(name, bits))
                self.layers[name].weight.data = weight.to(torch.bfloat16)
                self.loaded[name] = bits

    def generation_rate(self):
        start = time.perf_counter()
        for child in self.children:
            self.load(child)
            self.evaluate(1, "kl")
        return CANDIDATES * SAMPLES * TOKENS / (time.perf_counter() - start)


def measure(model, rounds=5):
    folder = tempfile.mkdtemp()
    try:
        peer = ReloadingPeer(model, folder)
        peer.load(peer.parent)
        with Server(BUILD / "engine_bench", model, SAMPLES, TOKENS) as engine:
            engine.ask("generation")
            rates = alternate(rounds, {"engine": lambda: engine.rate("generation"),
                                       "reloading": peer.generation_rate})
    finally:
        shutil.rmtree(folder)
    return rates, ratio(rates["engine"], rates["reloading"])


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rates, against = measure(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
    for name, spread in rates.items():
        print(f"{name:12s} {spread} tokens/s")
    print(f"engine / reloading {against}")


if __name__ == "__main__":
    main()
