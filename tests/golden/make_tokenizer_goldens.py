#!/usr/bin/env python3
"""Makes the tokenizer goldens: ids of the Hugging Face tokenizers.

usage: make_tokenizer_goldens.py MODEL.gguf TEXT_DIR
Needs: tokenizers, gguf, sentencepiece, numpy (made with tokenizers 0.23.3,
sentencepiece 0.2.3, gguf 0.19.0). Writes into the folder of this script:

  tokenizer_smollm2.json    SmolLM2: per text the number of ids and the sha256
                            of the little-endian int32 ids; small cases whole
  tokenizer_<name>.json     small tokenizer.json files, trained on the texts
  tokenizer_<name>_ids.json their ids for the small cases and whole texts
  tokenizer_spm.json        a small SentencePiece model in the terms of GGUF
                            metadata ("llama"), with its ids

The SmolLM2 tokenizer is the one of the original model: tokenizer.json of
HuggingFaceTB/SmolLM2-135M-Instruct has the pre-tokenizer
Sequence[Digits(individual_digits), ByteLevel(use_regex)], no normalizer and no
unknown token. llama.cpp's "smollm" agrees (\\p{N}, then GPT-2's regex). The
tokenizer that `AutoTokenizer.from_pretrained(dir, gguf_file=...)` of
transformers 5.23.0 makes from the GGUF does NOT: its table of pre-tokenizers
lacks "smollm", so it leaves Digits out and keeps the ByteLevel of GPT-2. No
merge joins digits, so a lone " 1" gets the same ids; they differ where a run of
whitespace stands before a digit: of "a  1" the original makes [a, \u0120\u0120,
1], the other [a, \u0120, \u0120, 1]. The texts on which the two differ are
stored as "gguf_file_differs" (all but "tiny").
"""

import hashlib
import json
import os
import sys

import numpy as np
import sentencepiece as spm
from gguf import GGUFReader
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models,
                        normalizers, pre_tokenizers, processors, trainers)

HERE = os.path.dirname(os.path.abspath(__file__))
TEXTS = ["c4", "wiki", "code", "technical", "multilingual", "tiny"]
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

CASES = [
    "", " ", "  ", "\n", "a", "Hello, world!", " leading", "trailing ",
    "  two  spaces  inside  ", "tabs\tand\t\ttabs", "line\nline\n\nline\n\n\n",
    "CRLF\r\nCRLF\r\n\r\n  indented\r\n", "    four spaces\n        eight",
    "don't I'm you've we'll he'd they're it's DON'T I'M WE'LL \u2019s '\u017f",
    "1 12 123 1234 3.14159 1,000,000 x=42;", "year 2024-01-31 10:30:59",
    "\u0661\u0662\u0663 \u00b2\u00b3 \u2160\u2161 \u2460 \u0969 \U0001d7d8",
    "caf\u00e9 cafe\u0301 na\u00efve \u00c5ngstr\u00f6m A\u030a \ufb01 \u212b",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002 \u3053\u3093\u306b\u3061\u306f \ud55c\uad6d\uc5b4",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "emoji \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\U0001f1e9\U0001f1ea",
    "nbsp\u00a0here \u2003em \u3000wide \u180e\u200b\u200dzero \u0085nel \u2028ls",
    "ctrl \x01\x02\x03\x04\x06\x13\x1d\x7f end", "\U000f0000 \U0010ffff \ufffd",
    "def f(x):\n\treturn {'a': x**2}  # comment\n\n\nclass A: pass",
    "http://example.com/a?b=c&d=%20 user@host.org C++ C# a_b __init__",
    "!!!???...---===***((()))[[[]]]{{{}}}<<<>>>$$$%%%^^^&&&~~~```",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    "<|endoftext|> <|endoftext|><|endoftext|>x", "<|im_start|", "<repo_name>a",
    "\u2581already \u2581\u2581escaped", "a" * 300, " " * 100 + "x",
    "x" + "\n" * 50 + "y", "ab1cd22ef333", "1a2b3c", "\u0130stanbul \u1e9e \u00df",
]


def digest(ids):
    raw = np.asarray(ids, dtype="<i4").tobytes()
    return {"count": len(ids), "sha256": hashlib.sha256(raw).hexdigest()}


def write(name, value):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=True, indent=None,
                  separators=(",", ":"))
        out.write("\n")


def read_texts(folder):
    texts = {}
    for name in TEXTS:
        with open(os.path.join(folder, name + ".utf8"), "rb") as f:
            texts[name] = f.read().decode("utf-8", errors="replace")
    return texts


def goldens(encode, encode_as_text, texts):
    """encode parses special tokens, encode_as_text leaves them as text."""
    return {
        "texts": {name: digest(encode(text)) for name, text in texts.items()},
        "cases": [{"text": c, "ids": encode(c),
                   "ids_without_special": encode_as_text(c)} for c in CASES],
    }


def hf_goldens(tokenizer, texts):
    def encode(text):
        tokenizer.encode_special_tokens = False
        return tokenizer.encode(text, add_special_tokens=False).ids

    def encode_as_text(text):
        tokenizer.encode_special_tokens = True
        return tokenizer.encode(text, add_special_tokens=False).ids

    out = goldens(encode, encode_as_text, texts)
    tokenizer.encode_special_tokens = False
    ends = tokenizer.encode("a", add_special_tokens=True).ids
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    at = next(i for i in range(len(ends)) if ends[i:i + len(bare)] == bare)
    out["prefix_ids"], out["suffix_ids"] = ends[:at], ends[at + len(bare):]
    return out


def smollm2(model_path, texts):
    reader = GGUFReader(model_path)
    field = lambda key: reader.fields["tokenizer.ggml." + key].contents()
    vocab = {token: i for i, token in enumerate(field("tokens"))}
    merges = [tuple(m.split(" ")) for m in field("merges")]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    special = [AddedToken(token, special=True, normalized=False)
               for token, kind in zip(field("tokens"), field("token_type"))
               if kind == 3]
    tokenizer.add_special_tokens(special)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = gpt2
    as_transformers = hf_goldens(tokenizer, texts)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), gpt2])
    out = hf_goldens(tokenizer, texts)
    out["gguf_file_differs"] = [
        name for name in texts
        if out["texts"][name] != as_transformers["texts"][name]]
    print("transformers' gguf_file tokenizer differs on",
          out["gguf_file_differs"])
    write("tokenizer_smollm2.json", out)


def train(tokenizer, texts, alphabet, special):
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, show_progress=False,
        initial_alphabet=alphabet, limit_alphabet=300)
    tokenizer.train_from_iterator(
        [texts["tiny"], texts["code"][:200000], texts["multilingual"][:100000]],
        trainer)


def small(name, tokenizer, texts):
    write(f"tokenizer_{name}.json", json.loads(tokenizer.to_str()))
    write(f"tokenizer_{name}_ids.json", hf_goldens(tokenizer, texts))


def byte_level(name, split, normalizer, texts, ignore_merges, bos):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(split), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    train(tokenizer, texts, pre_tokenizers.ByteLevel.alphabet(), special)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", pair="<|endoftext|> $A $B",
            special_tokens=[("<|endoftext|>", 0)])
    tokenizer.add_tokens([
        AddedToken("<repo_name>", normalized=False),
        AddedToken("Example", single_word=True, normalized=True),
        AddedToken("two", lstrip=True, rstrip=True, normalized=False)])
    small(name, tokenizer, texts)


def llama2(texts):
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True,
                                     byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    # Words end at spaces while training only, as SentencePiece has it.
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    train(tokenizer, texts, [], special)
    tokenizer.pre_tokenizer = None
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("\u2581", " "), decoders.ByteFallback(),
        decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    value = json.loads(tokenizer.to_str())
    # Byte tokens are no added tokens in a real Llama tokenizer.
    value["added_tokens"] = value["added_tokens"][:3]
    small("llama2", Tokenizer.from_str(json.dumps(value)), texts)


def metaspace(texts):
    """Gemma- and Mistral-like: Metaspace first, merges as it comes."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Metaspace("\u2581", "first", True),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Punctuation("contiguous")])
    tokenizer.decoder = decoders.Metaspace()
    train(tokenizer, texts, [], special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", pair="<bos> $A <eos> $B",
        special_tokens=[("<bos>", 2), ("<eos>", 1)])
    small("metaspace", tokenizer, texts)


def sentencepiece(texts):
    train_file = "/tmp/evopress_spm_train.txt"
    with open(train_file, "w", encoding="utf-8") as f:
        f.write(texts["tiny"] + texts["multilingual"][:100000])
    spm.SentencePieceTrainer.train(
        input=train_file, model_prefix="/tmp/evopress_spm", vocab_size=1000,
        model_type="bpe", byte_fallback=True, character_coverage=0.99,
        normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, split_digits=True,
        user_defined_symbols=["<repo_name>"], minloglevel=2)
    model = spm.SentencePieceProcessor(model_file="/tmp/evopress_spm.model")
    size = model.get_piece_size()
    kind = lambda i: (6 if model.is_byte(i) else 2 if model.is_unknown(i) else
                      3 if model.is_control(i) else
                      4 if model.id_to_piece(i) == "<repo_name>" else 1)
    out = {
        "tokens": [model.id_to_piece(i) for i in range(size)],
        "scores": [model.get_score(i) for i in range(size)],
        "types": [kind(i) for i in range(size)],
        "bos_id": model.bos_id(), "eos_id": model.eos_id(),
        "unknown_id": model.unk_id(),
    }
    # SentencePiece adds its space once, at the start of the text; llama.cpp
    # and Hugging Face add it after each added token as well. Cases without
    # added tokens only.
    cases = [c for c in CASES if "<repo_name>" not in c]
    out["cases"] = [{"text": c, "ids": model.encode(c)} for c in cases]
    out["texts"] = {n: digest(model.encode(t)) for n, t in texts.items()}
    write("tokenizer_spm.json", out)


def main():
    model_path, text_dir = sys.argv[1:3]
    texts = read_texts(text_dir)
    smollm2(model_path, texts)
    byte_level("qwen2", QWEN2, normalizers.NFC(), texts, False, False)
    byte_level("llama3", LLAMA3, None, texts, True, True)
    llama2(texts)
    metaspace(texts)
    sentencepiece(texts)


if __name__ == "__main__":
    main()
