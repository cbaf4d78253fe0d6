"""Makes the goldens of tests/quant/{dequantize,checkpoint}_test.cc.

  pip install gguf==0.19.0 safetensors numpy
  python tests/golden/make_gguf_goldens.py

gguf_blocks.json: what the gguf package makes of pseudo-random blocks of each
type. The blocks are not stored: the test makes the same bytes (SplitMix64).
tiny_*.gguf, tiny_hf/, tiny_models.json: small models written by the packages,
and the hashes of their tensors in Hugging Face's layout.
"""

import hashlib
import json
import pathlib
import sys

import gguf
import numpy as np
import safetensors.numpy

HERE = pathlib.Path(__file__).parent
BLOCKS = 384
T = gguf.GGMLQuantizationType

# Offsets of f16 scales in a block: random bytes must not make them NaN.
SCALES = {
    "F16": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2],
    "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
    "Q5_K": [0, 2], "Q6_K": [208], "IQ2_XXS": [0], "IQ2_XS": [0],
    "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ1_S": [0], "IQ4_NL": [0],
    "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64],
}


def splitmix_bytes(seed, size):
    words = (size + 7) // 8
    with np.errstate(over="ignore"):
        state = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.arange(
            1, words + 1, dtype=np.uint64)
        z = state
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.frombuffer(z.astype("<u8").tobytes(), np.uint8)[:size].copy()


def make_blocks(qtype, seed):
    size = gguf.GGML_QUANT_SIZES[qtype][1]
    blocks = splitmix_bytes(int(qtype) + 1000 * seed, BLOCKS * size).reshape(BLOCKS, size)
    for offset in SCALES.get(qtype.name, []):
        is_nan = (blocks[:, offset + 1] & 0x7C) == 0x7C
        blocks[is_nan, offset + 1] &= 0xBF
    if qtype == T.IQ1_M:  # its scale is spread over four words
        blocks[:, 53] &= 0xBF
    if qtype == T.F32:
        blocks[:, 3] &= 0xBF
    if qtype == T.BF16:
        blocks[:, 1] &= 0xBF
    return blocks


def sha(array):
    return hashlib.sha256(
        np.ascontiguousarray(array, "<f4").tobytes()).hexdigest()


def block_goldens(seed=0):
    types = [T.F32, T.F16] + sorted(gguf.quants._type_traits)
    result = {}
    for qtype in types:
        out = gguf.quants.dequantize(make_blocks(qtype, seed), qtype).reshape(-1)
        assert out.dtype == np.float32 and not np.isnan(out).any(), qtype
        result[qtype.name] = {
            "blocks": BLOCKS,
            "seed": seed,
            "sha256": sha(out),
            "first": ["%08x" % v for v in out[:20].view(np.uint32)],
        }
    return result


def permute(w, heads):  # as convert_hf_to_gguf.py does for architecture llama
    return (w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:])
            .swapaxes(1, 2).reshape(w.shape))


HIDDEN, HEADS, KV, HEAD_DIM, FFN, VOCAB = 32, 2, 1, 16, 64, 24


def random_weights(rng, norms, biases=False, gemma=False):
    p = "model.layers.0."
    shapes = {
        "model.embed_tokens.weight": (VOCAB, HIDDEN),
        "model.norm.weight": (HIDDEN,),
        p + "self_attn.q_proj.weight": (HEADS * HEAD_DIM, HIDDEN),
        p + "self_attn.k_proj.weight": (KV * HEAD_DIM, HIDDEN),
        p + "self_attn.v_proj.weight": (KV * HEAD_DIM, HIDDEN),
        p + "self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD_DIM),
        p + "mlp.gate_proj.weight": (FFN, HIDDEN),
        p + "mlp.up_proj.weight": (FFN, HIDDEN),
        p + "mlp.down_proj.weight": (HIDDEN, FFN),
    }
    for norm in norms:
        size = HEAD_DIM if "self_attn" in norm else HIDDEN
        shapes[p + norm + ".weight"] = (size,)
    if biases:
        shapes[p + "self_attn.q_proj.bias"] = (HEADS * HEAD_DIM,)
        shapes[p + "self_attn.k_proj.bias"] = (KV * HEAD_DIM,)
    # Multiples of 1/64, so that + 1 and - 1 are exact.
    # Adding 0 turns -0, which + 1 - 1 would lose, into 0.
    return {n: np.round(rng.standard_normal(s) * 64).astype(np.float32) / 64 + 0
            for n, s in shapes.items()}


LLAMA_NORMS = {"input_layernorm": "attn_norm",
               "post_attention_layernorm": "ffn_norm"}
GEMMA_NORMS = {"input_layernorm": "attn_norm",
               "post_attention_layernorm": "post_attention_norm",
               "pre_feedforward_layernorm": "ffn_norm",
               "post_feedforward_layernorm": "post_ffw_norm",
               "self_attn.q_norm": "attn_q_norm",
               "self_attn.k_norm": "attn_k_norm"}
STEMS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}


def gguf_name(name, norms):
    stem, kind = name.rsplit(".", 1)
    if stem == "model.embed_tokens":
        return "token_embd." + kind
    if stem == "model.norm":
        return "output_norm." + kind
    stem = stem.removeprefix("model.layers.0.")
    return "blk.0." + {**STEMS, **norms}[stem] + "." + kind


def write_model(file, arch, weights, norms, quantized, split=0):
    writer = gguf.GGUFWriter(HERE / file, arch, split_max_tensors=split)
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(50000.0)
    if arch == "gemma3":
        writer.add_key_length(HEAD_DIM)
        writer.add_value_length(HEAD_DIM)
        writer.add_sliding_window(16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(["t%d" % i for i in range(VOCAB)])
    writer.add_token_types([1] * VOCAB)
    writer.add_token_merges(["t 1", "t 2"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    # Every metadata type, for the reader and the writer.
    writer.add_uint8("test.u8", 250)
    writer.add_int8("test.i8", -100)
    writer.add_uint16("test.u16", 65000)
    writer.add_int16("test.i16", -30000)
    writer.add_int32("test.i32", -2000000000)
    writer.add_uint64("test.u64", 2**64 - 1)
    writer.add_int64("test.i64", -2**63)
    writer.add_float64("test.f64", 0.1)
    writer.add_array("test.floats", [0.5, -1.25])
    writer.add_array("test.bools", [True, False])
    hashes = {}
    for name, w in weights.items():
        stored = w
        if arch == "llama" and ".q_proj." in name:
            stored = permute(w, HEADS)
        if arch == "llama" and ".k_proj." in name:
            stored = permute(w, KV)
        if arch == "gemma3" and name.endswith("norm.weight"):
            stored = w + np.float32(1)
        target = gguf_name(name, norms)
        if w.ndim == 2 and quantized is not None:
            q = gguf.quants.quantize(stored, quantized)
            writer.add_tensor(target, q, raw_dtype=quantized)
            back = gguf.quants.dequantize(q, quantized)
            if arch == "llama" and (".q_proj." in name or ".k_proj." in name):
                heads = HEADS if ".q_proj." in name else KV
                back = (back.reshape(heads, HEAD_DIM // 2, 2, -1)
                        .swapaxes(1, 2).reshape(w.shape))
            hashes[name] = sha(back)
        else:
            writer.add_tensor(target, stored)
            hashes[name] = sha(w)
    if file == "tiny_llama.gguf":
        factors = np.linspace(1, 8, HEAD_DIM // 2, dtype=np.float32)
        writer.add_tensor("rope_freqs.weight", factors)
        hashes["rope_freqs.weight"] = sha(factors)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return hashes


def write_hf(weights):
    directory = HERE / "tiny_hf"
    directory.mkdir(exist_ok=True)
    weights = {n: w.astype(np.float16) if "mlp" in n else w
               for n, w in weights.items()}
    safetensors.numpy.save_file(weights, directory / "model.safetensors",
                                metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "hidden_size": HIDDEN, "num_hidden_layers": 1,
        "intermediate_size": FFN, "num_attention_heads": HEADS,
        "num_key_value_heads": KV, "vocab_size": VOCAB,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 50000.0},
    }, indent=1))
    (directory / "tokenizer.json").write_text("{}")
    return {n: sha(w.astype(np.float32)) for n, w in weights.items()}


def main():
    (HERE / "gguf_blocks.json").write_text(
        json.dumps(block_goldens(), indent=1) + "\n")
    rng = np.random.default_rng(1)
    plain = random_weights(rng, LLAMA_NORMS)
    models = {
        "tiny_llama.gguf": write_model(
            "tiny_llama.gguf", "llama",
            random_weights(rng, LLAMA_NORMS, biases=True), LLAMA_NORMS,
            T.Q8_0),
        "tiny_gemma3.gguf": write_model(
            "tiny_gemma3.gguf", "gemma3",
            random_weights(rng, GEMMA_NORMS), GEMMA_NORMS, T.BF16),
        "tiny_split-00001-of-00003.gguf": write_model(
            "tiny_split.gguf", "qwen2", plain, LLAMA_NORMS, T.Q4_0, split=4),
        "tiny_hf": write_hf(plain),
    }
    (HERE / "tiny_models.json").write_text(json.dumps(models, indent=1) + "\n")


# With a file and a seed: only the blocks, of that seed, to that file.
if len(sys.argv) == 3:
    pathlib.Path(sys.argv[1]).write_text(
        json.dumps(block_goldens(int(sys.argv[2])), indent=1) + "\n")
else:
    main()
