"""Building all levels of a model against a straightforward GPTQ in PyTorch:
Hessians accumulated by hooks in the forward pass, Cholesky, blocked columns.

    python -m tests.bench.levels_vs_torch MODEL TEXT [TOKENS]

Both from the same text with the same number of tokens, to levels of 2 to 6
bits in asymmetric groups of 64, of the same bytes. Both report
tr(D H D^T) / tr(W H W^T) of each level, D the change of W and H the Hessian of
their own forward pass. Here the levels are those that a job builds unless told
otherwise, MENU; the published algorithm without their two refinements, PLAIN,
is built for comparison.

All of the model is built once, for the errors; the ratio of times is measured
in turns on the model's first BLOCKS blocks, with all the tokens.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

from tests.bench.engine_vs_torch import BUILD
from tests.bench.model_blocks import first_blocks
from tests.bench.torch_peer import load

BITS = range(2, 7)
GROUP, BLOCK, LENGTH = 64, 128, 1024
MENU, PLAIN = "gptq:2-6:g64:actorder:search", "gptq:2-6:g64"
BLOCKS = 5
EVOPRESS = BUILD.parent / "client" / "evopress"


@torch.no_grad()
def gptq(weight, hessian, bits):
    """The compressed weight, by the published algorithm."""
    w, h = weight.clone(), hessian.clone()
    dead = torch.diag(h) == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    h += torch.eye(len(h)) * 0.01 * torch.diag(h).mean()
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    quantized = torch.zeros_like(w)
    for first in range(0, w.shape[1], BLOCK):
        last = min(first + BLOCK, w.shape[1])
        block = w[:, first:last].clone()
        errors = torch.zeros_like(block)
        local = upper[first:last, first:last]
        for i in range(last - first):
            if (first + i) % GROUP == 0:
                group = block[:, i:i + GROUP]
                low = group.amin(1).clamp(max=0)
                high = group.amax(1).clamp(min=0)
                scale = ((high - low) / (2 ** bits - 1)).clamp(min=1e-9)
                zero = (-low / scale).round()
            column = block[:, i]
            q = ((column / scale).round() + zero).clamp(0, 2 ** bits - 1)
            q = (q - zero) * scale
            quantized[:, first + i] = q
            error = (column - q) / local[i, i]
            block[:, i:] -= error[:, None] * local[i, i:]
            errors[:, i] = error
        w[:, last:] -= errors @ upper[first:last, last:]
    return quantized


@torch.no_grad()
def build_in_torch(path, ids):
    """Seconds from the file on, as they are counted here; (layer, bits) ->
    relative error; and the weights of all layers."""
    start = time.perf_counter()
    model = load(path)
    layers = {name: module for name, module in model.named_modules()
              if isinstance(module, torch.nn.Linear) and "lm_head" not in name}
    errors = {}
    hessians = {name: torch.zeros(m.in_features, m.in_features) for name, m in layers.items()}

    def hook(name):
        def accumulate(_, inputs):
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).float()
            hessians[name].addmm_(x.T, x)
        return accumulate

    handles = [m.register_forward_pre_hook(hook(n)) for n, m in layers.items()]
    for row in ids:
        model.model(input_ids=row[None], use_cache=False)
    for handle in handles:
        handle.remove()
    for name, module in layers.items():
        weight, h = module.weight.float(), hessians[name]
        energy = ((weight @ h) * weight).sum()
        for bits in BITS:
            change = gptq(weight, h, bits) - weight
            errors[name, bits] = (((change @ h) * change).sum() / energy).item()
    weights = sum(module.weight.numel() for module in layers.values())
    return time.perf_counter() - start, errors, weights


def build_here(path, text, tokens, menu=MENU):
    """Seconds, errors as above, and the bytes of all levels."""
    folder = tempfile.mkdtemp()
    try:
        start = time.perf_counter()
        done = subprocess.run(
            [EVOPRESS, "levels", "build", path, "--text", text, "--menu", menu,
             "--statistics-tokens", str(tokens), "--sequence-length", str(LENGTH),
             "--data", folder, "--json"], capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - start
        table = json.loads(done.stdout)["levels"]
        errors = {(row["layer"], int(row["level"].split(":")[1][1:])): row["relative_error"]
                  for row in table}
        return seconds, errors, sum(row["size_bytes"] for row in table)
    finally:
        shutil.rmtree(folder)


def errors_against(ours, theirs):
    ratios = [ours[key] / value for key, value in theirs.items()]
    return {"mean": statistics.geometric_mean(ratios), "worst": max(ratios),
            "worse": sum(ratio > 1 for ratio in ratios), "of": len(ratios)}


def measure(model, text, ids, rounds=5):
    """`ids`: sequences x LENGTH token ids of `text`."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tokens, ids = ids.shape[0] * LENGTH, torch.as_tensor(ids, dtype=torch.long)
    with tempfile.TemporaryDirectory() as folder:
        part = first_blocks(model, BLOCKS, folder)
        seconds = [(build_here(part, text, tokens)[0], build_in_torch(part, ids)[0])
                   for _ in range(rounds)]
    ours, our_errors, size = build_here(model, text, tokens)
    plain_errors = build_here(model, text, tokens, PLAIN)[1]
    theirs, their_errors, weights = build_in_torch(model, ids)
    return {"speedup": [b / a for a, b in seconds], "part_seconds": seconds,
            "whole_seconds": ours, "whole_torch_seconds": theirs,
            "errors": errors_against(our_errors, their_errors),
            "plain_errors": errors_against(plain_errors, their_errors),
            "bytes": size, "weights": weights}


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    tokens = int(sys.argv[3]) if len(sys.argv) > 3 else 131072
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([BUILD / "show_probe", "tokenize", *sys.argv[1:3], file.name],
                       check=True, stdout=subprocess.DEVNULL)
        ids = np.fromfile(file.name, dtype="<i4")[:tokens // LENGTH * LENGTH]
    print(json.dumps(measure(sys.argv[1], sys.argv[2], ids.reshape(-1, LENGTH)), indent=1))


if __name__ == "__main__":
    main()
