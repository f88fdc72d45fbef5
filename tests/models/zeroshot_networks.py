"""Small random CLIP and SigLIP networks, built from configurations and saved in the hub's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

PREPROCESSING = {
    "size": 32, "mode": "RGB", "mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic",
    "resize_mode": "shortest", "fill_color": 0,
}  # fmt: skip
_SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
SNAPSHOTS = ("clip", "siglip", "siglip2")


def open_clip() -> Any:
    return pytest.importorskip("open_clip", reason="open_clip is not installed (pip install 'robench[zeroshot]')")


def transformers() -> Any:
    return pytest.importorskip("transformers", reason="transformers is not installed (pip install 'robench[zeroshot]')")


def save_open_clip(folder: Path, *, bias: bool = False, seed: int = 0, **changes: Any) -> Path:
    """Save a CLIP of open_clip; with a bias, as SigLIP has it."""
    from safetensors.torch import save_file

    library = open_clip()
    config: dict[str, Any] = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8, "head_width": 32},
        "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    if bias:
        config |= {"init_logit_bias": -10.0, "init_logit_scale": 2.3, "custom_text": True}
    folder.mkdir(exist_ok=True, parents=True)
    document = {"model_cfg": config, "preprocess_cfg": PREPROCESSING | changes}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    torch.manual_seed(seed)
    kind = library.CustomTextCLIP if bias else library.CLIP
    network = kind(**{name: value for name, value in config.items() if name != "custom_text"})
    save_file(
        {name: one.contiguous() for name, one in network.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return folder


def save_snapshot(folder: Path, kind: str) -> Path:
    """Save a CLIP, SigLIP or SigLIP 2 of transformers with its tokenizer and image processor."""
    library = transformers()
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True, parents=True)
    vocabulary = _save_tokenizer(folder, kind)
    text = {"vocab_size": vocabulary, **_SMALL, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    if kind == "clip":
        text |= {"max_position_embeddings": 40, "projection_dim": 16, "eos_token_id": vocabulary - 1}
        vision = {"image_size": 32, "patch_size": 8, "projection_dim": 16, **_SMALL}
        network = library.CLIPModel(library.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
        processor = library.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    else:
        text |= {"max_position_embeddings": 40, "projection_size": 32}
        size = {"num_patches": 16} if kind == "siglip2" else {"image_size": 32}
        vision = {"patch_size": 8, **size, **_SMALL}
        if kind == "siglip":
            network = library.SiglipModel(library.SiglipConfig(text_config=text, vision_config=vision))
            processor = library.SiglipImageProcessor(size={"height": 32, "width": 32})
        else:
            network = library.Siglip2Model(library.Siglip2Config(text_config=text, vision_config=vision))
            processor = library.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
        network.logit_scale.data.fill_(2.3)
        network.logit_bias.data.fill_(-10.0)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _save_tokenizer(folder: Path, kind: str) -> int:
    """Save a tokenizer of single characters; return the number of its tokens."""
    library = transformers()
    letters = "abcdefghijklmnopqrstuvwxyz. "
    if kind == "clip":
        words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
        tokenizer = library.CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])
    else:
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers

        words = ["<pad>", "</s>", "<unk>", *letters]
        backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
        backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        tokenizer = library.PreTrainedTokenizerFast(
            tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
            model_input_names=["input_ids"],
        )  # fmt: skip
    tokenizer.save_pretrained(folder)
    if kind == "siglip2":  # AutoTokenizer would build its own class from this vocabulary
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    return len(words)
