"""A model's first blocks as a model of their own, so that what takes minutes on
all of it can be repeated."""
import json
import pathlib
import shutil

import gguf
import numpy as np

from tests.bench.torch_peer import load


def first_blocks(model, count, folder):
    """Path, in `folder`, of `model` (GGUF file or Hugging Face folder) with its
    first `count` blocks."""
    model, folder = pathlib.Path(model), pathlib.Path(folder)
    if model.is_file():
        return of_gguf(model, count, folder / f"{count}-blocks.gguf")
    return of_hugging_face(model, count, folder / f"{count}-blocks")


def of_gguf(model, count, path):
    reader = gguf.GGUFReader(model)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(path, architecture)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value = count if key == f"{architecture}.block_count" else field.contents()
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, value, field.types[0], element)
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        if parts[0] != "blk" or int(parts[1]) < count:
            writer.add_tensor(tensor.name, np.asarray(tensor.data),
                              raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def of_hugging_face(model, count, path):
    whole = load(model)
    whole.model.layers = whole.model.layers[:count]
    whole.config.num_hidden_layers = count
    whole.save_pretrained(path)
    for file in model.glob("*token*"):
        shutil.copy(file, path)
    config = json.loads((path / "config.json").read_text())
    if kinds := config.get("layer_types"):
        config["layer_types"] = kinds[:count]
        (path / "config.json").write_text(json.dumps(config))
    return path
