#!/usr/bin/env python3
"""Makes the goldens of the inference engine with transformers in float32.

    make_engine_goldens.py tiny OUT_DIR [SEED]
        tests/golden/engine/: randomly initialized two-layer models, saved in
        bfloat16, nll.json with the loss of every position, and flows.json with
        how far modules and runs of blocks turn the hidden states. Without a
        seed, weights are larger than usual, so that every part matters; with
        one, they are as transformers initializes them.
    make_engine_goldens.py smollm2 MODEL.gguf TEXT_DIR OUT.json
        the real model's token ids and mean losses on held-out text.

Needs torch, transformers, safetensors and gguf.
"""
import hashlib
import json
import os
import sys

import torch

TINY = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16,
            vocab_size=256, max_position_embeddings=512, bos_token_id=0,
            eos_token_id=1, pad_token_id=None)


def tiny_configs():
    import transformers as t
    yield "llama_linear", t.LlamaConfig(
        **TINY, tie_word_embeddings=False, attention_bias=True,
        rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=10000.0))
    yield "llama_llama3", t.LlamaConfig(
        **TINY, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="llama3", factor=4.0, rope_theta=10000.0,
                             low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=64))
    yield "mistral_window", t.MistralConfig(
        **TINY, tie_word_embeddings=False, sliding_window=20)
    yield "qwen2_yarn", t.Qwen2Config(
        **TINY, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="yarn", factor=4.0, rope_theta=1000000.0,
                             original_max_position_embeddings=64))
    yield "qwen3", t.Qwen3Config(**TINY, tie_word_embeddings=False)
    yield "gemma3", t.Gemma3TextConfig(
        **TINY, tie_word_embeddings=True, sliding_window=20,
        query_pre_attn_scalar=24, final_logit_softcapping=20.0,
        layer_types=["sliding_attention", "full_attention"],
        attn_implementation="eager")
    yield "mixtral", t.MixtralConfig(
        **TINY, tie_word_embeddings=False, num_local_experts=4,
        num_experts_per_tok=2)
    yield "qwen3_moe", t.Qwen3MoeConfig(
        **TINY, tie_word_embeddings=False, moe_intermediate_size=32,
        num_experts=8, num_experts_per_tok=3, norm_topk_prob=False,
        mlp_only_layers=[0])


def position_losses(model, ids):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].float()
    logp = torch.log_softmax(logits[:-1], -1)
    return -logp.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def flow(x, y):
    """Means over tokens of 1 - cosine, of the angle as a share of pi, and of
    what is added relative to the outcome."""
    x, y = x.double(), y.double()
    cosine = torch.nn.functional.cosine_similarity(x, y, dim=-1).clamp(-1, 1)
    added = (y - x).norm(dim=-1) / y.norm(dim=-1)
    return [round(v.mean().item(), 7)
            for v in (1 - cosine, cosine.arccos() / torch.pi, added)]


def flows(model, ids):
    """For each block: flows of attention and MLP, and of the windows from it."""
    states, between = [], []
    hooks = []
    for layer in model.model.layers:
        mlp_norm = getattr(layer, "pre_feedforward_layernorm",
                           layer.post_attention_layernorm)
        hooks.append(mlp_norm.register_forward_pre_hook(
            lambda _, args: between.append(args[0][0])))
        hooks.append(layer.register_forward_pre_hook(
            lambda _, args: states.append(args[0][0])))
    # Before the last norm, which output_hidden_states would include.
    hooks.append(model.model.norm.register_forward_pre_hook(
        lambda _, args: states.append(args[0][0])))
    with torch.no_grad():
        model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return [{"modules": [flow(states[b], between[b]), flow(between[b], states[b + 1])],
             "windows": [flow(states[b], after) for after in states[b + 1:]]}
            for b in range(len(between))]


def make_tiny(out, first_seed):
    import transformers
    os.makedirs(out, exist_ok=True)
    goldens, turned = {}, {}
    for seed, (name, config) in enumerate(tiny_configs(), start=100 * (first_seed or 0)):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(
            config, attn_implementation="eager").float().eval()
        for key, p in model.named_parameters() if first_seed is None else ():
            if "norm" in key:
                p.data.uniform_(-0.3, 0.3)
                if config.model_type != "gemma3_text":
                    p.data.add_(1.0)
            elif key.endswith("bias"):
                p.data.normal_(0, 0.5)
            elif "embed" in key:
                p.data.normal_(0, 0.4)
            else:
                p.data.normal_(0, 0.2)
            p.data = p.data.bfloat16().float()
        directory = os.path.join(out, name)
        model.bfloat16().save_pretrained(directory)
        generation = os.path.join(directory, "generation_config.json")
        if os.path.exists(generation):
            os.remove(generation)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="eager").eval()
        generator = torch.Generator().manual_seed(seed)
        samples = []
        for length in (150, 40):
            ids = torch.randint(0, 256, (length,), generator=generator).tolist()
            nll = position_losses(model, ids)
            samples.append({"tokens": ids,
                            "nll": [round(x, 5) for x in nll.tolist()]})
        goldens[name] = samples
        turned[name] = flows(model, samples[0]["tokens"])
        losses = torch.tensor(samples[0]["nll"])
        print(name, losses.mean().item(), losses.std().item())
    with open(os.path.join(out, "nll.json"), "w") as f:
        json.dump(goldens, f)
    with open(os.path.join(out, "flows.json"), "w") as f:
        json.dump(turned, f)


def make_smollm2(gguf, texts, out):
    import transformers
    directory, file = os.path.split(gguf)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory, gguf_file=file)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        directory, gguf_file=file, dtype=torch.float32).eval()
    with open(os.path.join(texts, "wiki.utf8"), encoding="utf-8") as f:
        ids = tokenizer(f.read(400000), add_special_tokens=False)["input_ids"]
    count, length = 4, 1024
    golden = {"samples": []}
    for s in range(count):
        sample = ids[s * length:(s + 1) * length]
        assert len(sample) == length
        nll = position_losses(model, sample)
        golden["samples"].append({"tokens": sample,
                                  "mean_nll": nll.double().mean().item()})
        print(s, golden["samples"][-1]["mean_nll"], flush=True)
    flat = ",".join(str(t) for s in golden["samples"] for t in s["tokens"])
    golden["sha256_of_tokens"] = hashlib.sha256(flat.encode()).hexdigest()
    with open(out, "w") as f:
        json.dump(golden, f)


if __name__ == "__main__":
    if len(sys.argv) in (3, 4) and sys.argv[1] == "tiny":
        make_tiny(sys.argv[2], int(sys.argv[3]) if len(sys.argv) == 4 else None)
    elif len(sys.argv) == 5 and sys.argv[1] == "smollm2":
        make_smollm2(*sys.argv[2:])
    else:
        sys.exit(__doc__)
