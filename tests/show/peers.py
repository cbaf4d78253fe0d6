"""The peers that reference values come from, on any model."""

import functools
import pathlib

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


def _where(model):
    """from_pretrained's arguments for a GGUF file or a folder."""
    path = pathlib.Path(model)
    if path.is_file():
        return dict(pretrained_model_name_or_path=str(path.parent), gguf_file=path.name)
    return dict(pretrained_model_name_or_path=str(path))


@functools.lru_cache(maxsize=2)
def causal_lm(model, dtype="float32"):
    torch.set_num_threads(2)
    net = AutoModelForCausalLM.from_pretrained(
        **_where(model), dtype=getattr(torch, dtype), attn_implementation="sdpa")
    return net.eval()


def tokenizer(model):
    """The Hugging Face tokenizer of the model.

    transformers' GGUF loader forgets that SmolLM splits numbers into digits,
    as the model's own tokenizer.json does: put that back.
    """
    slow = AutoTokenizer.from_pretrained(**_where(model))
    fast = slow.backend_tokenizer
    path = pathlib.Path(model)
    if path.is_file():
        from gguf import GGUFReader
        field = GGUFReader(str(path)).fields.get("tokenizer.ggml.pre")
        if field is not None and bytes(field.parts[-1]).decode() == "smollm":
            from tokenizers import pre_tokenizers
            fast.pre_tokenizer = pre_tokenizers.Sequence([
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ])
    return fast


def mean_nll(model, sequences, dtype="float32", batch=2):
    """Mean negative log-likelihood per token over sequences (n x length)."""
    net = causal_lm(str(model), dtype)
    total, count = 0.0, 0
    with torch.inference_mode():
        for i in range(0, len(sequences), batch):
            ids = torch.tensor(np.asarray(sequences[i:i + batch]), dtype=torch.long)
            logits = net(ids).logits[:, :-1].float()
            nll = torch.nn.functional.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="sum")
            total += nll.item()
            count += ids[:, 1:].numel()
    return total / count
