"""The same model in torch bfloat16, as people run it on a CPU today."""
import os
import time

import torch


def load(path, dtype=torch.bfloat16):
    """A transformers model from a GGUF file or a Hugging Face folder."""
    import transformers
    path = str(path)
    where = (dict(pretrained_model_name_or_path=os.path.dirname(path),
                  gguf_file=os.path.basename(path)) if path.endswith(".gguf")
             else dict(pretrained_model_name_or_path=path))
    return transformers.AutoModelForCausalLM.from_pretrained(
        **where, dtype=dtype, attn_implementation="sdpa").eval()


class TorchPeer:
    """sdpa attention, inference_mode, as many threads as cores. The reference's
    logits of its samples are kept in memory, as EvoPress keeps them."""

    BATCHES = (1, 2, 4)

    def __init__(self, path, samples, tokens):
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.model = load(path)
        self.samples, self.tokens = samples, tokens
        generator = torch.Generator().manual_seed(0)
        self.ids = torch.randint(0, self.model.config.vocab_size, (samples, tokens),
                                 generator=generator)
        self.reference = self.logits_of_reference()

    @torch.inference_mode()
    def logits_of_reference(self):
        return [self.model(input_ids=row[None], use_cache=False).logits[0, :-1]
                for row in self.ids]

    @torch.inference_mode()
    def evaluate(self, batch, loss, samples=None):
        """`loss`: "kl" (KL to the reference over the whole vocabulary, and NLL),
        "nll", or "none" (not even the head)."""
        for first in range(0, samples or self.samples, batch):
            ids = self.ids[first:first + batch]
            if loss == "none":
                self.model.model(input_ids=ids, use_cache=False)
                continue
            logits = self.model(input_ids=ids, use_cache=False).logits
            for i, (row, tokens) in enumerate(zip(logits, ids)):
                self.loss(row, tokens, self.reference[first + i] if loss == "kl" else None)

    @staticmethod
    def loss(logits, tokens, reference=None):
        """NLL of a sequence, and its KL if the reference's logits are given."""
        logp = torch.log_softmax(logits[:-1].float(), -1)
        nll = -logp.gather(1, tokens[1:, None]).sum().item()
        if reference is None:
            return nll, None
        target = torch.log_softmax(reference.float(), -1)
        return nll, torch.nn.functional.kl_div(
            logp, target, log_target=True, reduction="sum").item()

    def rate(self, batch, loss):
        start = time.perf_counter()
        self.evaluate(batch, loss)
        return self.samples * self.tokens / (time.perf_counter() - start)

    def best_rate(self, loss):
        return max(self.rate(batch, loss) for batch in self.BATCHES)
