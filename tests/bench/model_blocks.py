"""A model made of some blocks of another, in any order: its first ones, so that
what takes minutes can be repeated, or all of them shuffled, so that nothing
known about the model holds."""
import json
import pathlib
import random
import shutil

import gguf
import numpy as np

from tests.bench.torch_peer import load


def first_blocks(model, count, folder):
    """Path, in `folder`, of `model` (GGUF file or Hugging Face folder) with its
    first `count` blocks."""
    return with_blocks(model, list(range(count)), pathlib.Path(folder) / f"{count}-blocks")


def shuffled_blocks(model, seed, folder):
    """Path, in `folder`, of `model` with its blocks in a random order."""
    order = list(range(count_blocks(pathlib.Path(model))))
    random.Random(seed).shuffle(order)
    return with_blocks(model, order, pathlib.Path(folder) / f"shuffled-{seed}")


def with_blocks(model, blocks, path):
    model = pathlib.Path(model)
    return (of_gguf(model, blocks, path.with_suffix(".gguf")) if model.is_file()
            else of_hugging_face(model, blocks, path))


def count_blocks(model):
    if not model.is_file():
        return json.loads((model / "config.json").read_text())["num_hidden_layers"]
    fields = gguf.GGUFReader(model).fields
    architecture = fields["general.architecture"].contents()
    return int(fields[f"{architecture}.block_count"].contents())


def of_gguf(model, blocks, path):
    reader = gguf.GGUFReader(model)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(path, architecture)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value = len(blocks) if key == f"{architecture}.block_count" else field.contents()
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, value, field.types[0], element)
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        if parts[0] != "blk":
            names = [tensor.name]
        else:
            names = [".".join(["blk", str(new), *parts[2:]])
                     for new, old in enumerate(blocks) if old == int(parts[1])]
        for name in names:
            writer.add_tensor(name, np.asarray(tensor.data), raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def of_hugging_face(model, blocks, path):
    whole = load(model)
    whole.model.layers = type(whole.model.layers)(whole.model.layers[i] for i in blocks)
    whole.config.num_hidden_layers = len(blocks)
    if kinds := getattr(whole.config, "layer_types", None):
        whole.config.layer_types = [kinds[i] for i in blocks]
    whole.save_pretrained(path)
    for file in model.glob("*token*"):
        shutil.copy(file, path)
    return path
