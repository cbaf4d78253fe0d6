"""Where the time of a generation goes: in the engine, sampled by perf, and in
the reference's way (engine_vs_reload.py), by the clock around its parts.

    python -m tests.bench.profile MODEL
"""
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import torch

from tests.bench.alternate import Server
from tests.bench.engine_vs_reload import SAMPLES, TOKENS, ReloadingPeer
from tests.bench.engine_vs_torch import BUILD

# What a sampled function works for, by the first pattern found in its name.
# oneDNN writes its kernels at run time; perf shows them by the map it leaves.
PARTS = (
    ("attention", r"Attend|Attention|OnTiles|OnVectors|MultiplyRows|Softmax|Pack(Keys|Values)"
                  r"|PackQueries"),
    ("matrix products", r"jit_|brgemm|dnnl|perf-\d+\.map|PackedMatrix|JIT|MultiplyTiles"),
    ("loss", r"LossHead|Divergence|TopK|LogSum|Nll|SumExp|MaxOf|ExpOperands|\w+Difference"),
    ("unpacking levels", r"WeightCache|Unpack|Dequantize|PackedWeight|quant::"),
    ("norms, rotary, activation, residual",
     r"Norm|Squares|Rope|Gate|AddTo|BlockRunner"),
    ("threads", r"tbb|sched|futex|syscall|pthread"),
)
SEPARATOR = "|"


def part_of(name):
    return next((part for part, pattern in PARTS if re.search(pattern, name)), "other")


def of_engine(model):
    """Part -> share of the processors' time in a generation of 32 offspring."""
    if shutil.which("perf") is None:
        raise RuntimeError("perf is missing; run deploy/setup.sh tests/show/packages.txt")
    with tempfile.TemporaryDirectory() as folder, \
            Server(BUILD / "engine_bench", model, SAMPLES, TOKENS,
                   ONEDNN_JIT_PROFILE="2") as engine:  # oneDNN's map of its kernels
        engine.ask("generation")
        data = pathlib.Path(folder) / "perf.data"
        sampler = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", "199", "-o", data,
             "-p", str(engine.process.pid)], stderr=subprocess.DEVNULL)
        time.sleep(1)
        engine.ask("generation")
        sampler.send_signal(signal.SIGINT)
        sampler.wait()
        report = subprocess.run(
            ["perf", "report", "-i", data, "--stdio", "--no-children", "-t", SEPARATOR,
             "-F", "overhead,dso,sym"], capture_output=True, text=True, check=True).stdout
        pathlib.Path(f"/tmp/perf-{engine.process.pid}.map").unlink(missing_ok=True)
    shares = {}
    for line in report.splitlines():
        share, _, name = line.partition(SEPARATOR)
        if line.startswith("#") or not share.strip().endswith("%"):
            continue
        part = part_of(name)
        shares[part] = shares.get(part, 0) + float(share.strip()[:-1]) / 100
    return shares


class Clock:
    """Adds up what passes between two calls under the name of the later one."""

    def __init__(self):
        self.last, self.seconds = time.perf_counter(), {}

    def __call__(self, part):
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0) + now - self.last
        self.last = now


@torch.inference_mode()
def of_reloading(model):
    """Part -> share of the time of the reference's way, on 8 offspring."""
    with tempfile.TemporaryDirectory() as folder:
        peer = ReloadingPeer(model, folder)
        peer.load(peer.parent)
        peer.evaluate(1, "kl")
        clock = Clock()
        for child in peer.children:
            peer.load(child)
            clock("reloading layers")
            for ids, reference in zip(peer.ids, peer.reference):
                states = peer.model.model(input_ids=ids[None], use_cache=False)[0]
                clock("blocks")
                logits = peer.model.lm_head(states)[0]
                clock("output head")
                peer.loss(logits, ids, reference)
                clock("loss over full logits")
    total = sum(clock.seconds.values())
    return {part: seconds / total for part, seconds in clock.seconds.items()}


def measure(model):
    return {"engine": of_engine(model), "reloading": of_reloading(model)}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for way, shares in measure(sys.argv[1]).items():
        for part, share in sorted(shares.items(), key=lambda item: -item[1]):
            print(f"{way:10s} {part:38s} {100 * share:5.1f} %")


if __name__ == "__main__":
    main()
