#!/usr/bin/env python3
"""The cpu engine against the same model in torch bfloat16, alternating.

    engine_vs_torch.py ENGINE_BENCH MODEL.gguf [ROUNDS]

Prints tokens per second of both and, a line each round, their ratio: the best batch size of torch
among 1, 2 and 4, sdpa attention, inference_mode, as many threads as cores. Both
compute the loss of the search: KL to the reference over the whole vocabulary
and NLL. Torch finds the reference's logits in memory, as EvoPress keeps them;
the engine computes them anew. Beside it: torch with NLL alone, and with no loss.
"""
import os
import subprocess
import sys
import time

import torch

SAMPLES, TOKENS = 4, 1024


class Engine:
    def __init__(self, binary, model):
        self.process = subprocess.Popen(
            [binary, model, str(SAMPLES), str(TOKENS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().strip()
        assert line == "ready", line

    def measure(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Torch:
    def __init__(self, gguf):
        import transformers
        directory, file = os.path.split(gguf)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            directory, gguf_file=file, dtype=torch.bfloat16,
            attn_implementation="sdpa").eval()
        generator = torch.Generator().manual_seed(0)
        self.ids = torch.randint(0, self.model.config.vocab_size,
                                 (SAMPLES, TOKENS), generator=generator)
        with torch.inference_mode():
            self.reference = [self.model(input_ids=row[None], use_cache=False).logits[0, :-1]
                              for row in self.ids]

    def measure(self, batch, loss):
        start = time.perf_counter()
        with torch.inference_mode():
            for first in range(0, SAMPLES, batch):
                ids = self.ids[first:first + batch]
                if loss == "none":
                    self.model.model(input_ids=ids, use_cache=False)
                    continue
                logits = self.model(input_ids=ids, use_cache=False).logits
                for i, (row, tokens) in enumerate(zip(logits, ids)):
                    logp = torch.log_softmax(row[:-1].float(), -1)
                    logp.gather(1, tokens[1:, None]).sum().item()
                    if loss == "kl":
                        target = torch.log_softmax(self.reference[first + i].float(), -1)
                        torch.nn.functional.kl_div(
                            logp, target, log_target=True, reduction="sum").item()
        return SAMPLES * TOKENS / (time.perf_counter() - start)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    engine, reference = Engine(*sys.argv[1:3]), Torch(sys.argv[2])
    best = {}

    def record(name, value):
        best[name] = max(best.get(name, 0), value)
        print(f"{name:24s} {value:8.1f} tokens/s", flush=True)

    engine.measure()
    reference.measure(1, "kl")
    for number in range(1, rounds + 1):
        ours = engine.measure()
        record("engine", ours)
        theirs = [reference.measure(batch, "kl") for batch in (1, 2, 4)]
        for batch, value in zip((1, 2, 4), theirs):
            record(f"torch batch {batch}", value)
        record("torch, NLL alone", reference.measure(2, "nll"))
        record("torch, no loss", reference.measure(2, "none"))
        print(f"round {number} ratio {ours / max(theirs):8.2f}", flush=True)
    engine.close()
    torch_best = max(v for k, v in best.items() if k.startswith("torch batch"))
    print(f"best engine / best torch {best['engine'] / torch_best:8.2f}")
    print("best engine / no loss    "
          f"{best['engine'] / best['torch, no loss']:8.2f}")


if __name__ == "__main__":
    main()
