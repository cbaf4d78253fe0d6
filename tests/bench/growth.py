"""How tokens/s and memory change as one thing at a time doubles: model depth,
width, sequence length, assignments and sequences of a task.

    python -m tests.bench.growth [ROUNDS]

On random Llama models, all else as in BASE. Assignments share nothing.
"""
import dataclasses
import pathlib
import shutil
import sys
import tempfile

import torch

from tests.bench.alternate import Server, Spread
from tests.bench.engine_vs_torch import BUILD


@dataclasses.dataclass(frozen=True)
class Point:
    depth: int = 6
    width: int = 384  # widths are multiples of 192: heads of 32, groups of 64
    length: int = 1024
    assignments: int = 2
    sequences: int = 2


BASE = Point()
STEPS = {"depth": (3, 6, 12, 24), "width": (192, 384, 768, 1536),
         "length": (256, 512, 1024, 2048, 4096), "assignments": (1, 2, 4, 8, 16),
         "sequences": (1, 2, 4, 8)}


def make_model(folder, depth, width):
    import transformers
    path = folder / f"{depth}x{width}"
    if not path.exists():
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            hidden_size=width, intermediate_size=width * 8 // 3 // 64 * 64,
            num_hidden_layers=depth, num_attention_heads=width // 32,
            num_key_value_heads=width // 96, vocab_size=16384,
            max_position_embeddings=8192, tie_word_embeddings=True)
        transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(path)
    return path


def measure(rounds=3):
    """[(what grows, Point, Spread of tokens/s, peak bytes)]"""
    folder = pathlib.Path(tempfile.mkdtemp())
    rows = []
    try:
        for what, values in STEPS.items():
            for value in values:
                point = dataclasses.replace(BASE, **{what: value})
                model = make_model(folder, point.depth, point.width)
                scenario = f"batch {point.assignments}"
                with Server(BUILD / "engine_bench", model, point.sequences,
                            point.length) as engine:
                    engine.ask(scenario)
                    answers = [engine.ask(scenario) for _ in range(rounds)]
                rows.append((what, point,
                             Spread([a["tokens"] / a["seconds"] for a in answers]),
                             answers[-1]["peak_bytes"]))
    finally:
        shutil.rmtree(folder)
    return rows


def main():
    for what, point, rate, peak in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        print(f"{what:12s} {getattr(point, what):6d}  {rate} tokens/s  {peak / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
