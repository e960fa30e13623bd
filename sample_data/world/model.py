"""The parts of the world's Stable Diffusion: every part is the real class, only small."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import diffusers
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PARTS: Any = diffusers  # it loads its classes lazily, which hides their methods from type checkers
WIDTH = 64
LENGTH = 32
VOCABULARY = 1_536
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"  # as CLIP's own tokenizer cuts them
START, END = "<|startoftext|>", "<|endoftext|>"
CHANNELS = {32: (24, 32, 32), 64: (16, 24, 32, 32)}
"""The autoencoder's channels by edge of the picture: the latents are 8 x 8 either way."""
LATENT = 12


def tokenizer(captions: Sequence[str]) -> CLIPTokenizer:
    """A CLIP tokenizer whose byte pairs are learnt from the captions."""
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2 - len(alphabet),
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    learnt = json.loads(learner.to_str())["model"]
    merges = [tuple(pair) for pair in learnt["merges"]]
    pieces = alphabet + [c + "</w>" for c in alphabet] + ["".join(pair) for pair in merges] + [START, END]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    make: Any = CLIPTokenizer  # its declared types leave out the pairs that it takes
    return cast("CLIPTokenizer", make(vocab=vocabulary, merges=merges, model_max_length=LENGTH))


def text_model(words: CLIPTokenizer) -> CLIPTextModel:
    """Two layers of CLIP's text transformer."""
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return CLIPTextModel(config)


def autoencoder(size: int) -> Any:
    """Pictures of this edge to latents of 8 x 8."""
    channels = CHANNELS[size]
    return PARTS.AutoencoderKL(
        sample_size=size,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=LATENT,
        norm_num_groups=8,
        mid_block_add_attention=False,
    )


def unet() -> Any:
    """A million parameters over 8 x 8 latents."""
    return PARTS.UNet2DConditionModel(
        sample_size=8,
        in_channels=LATENT,
        out_channels=LATENT,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        attention_head_dim=8,
        cross_attention_dim=WIDTH,
        norm_num_groups=8,
    )


def scheduler() -> Any:
    """Linear noise from 1e-4 to .02 (Ho et al., 2020), velocity prediction, trailing steps."""
    return PARTS.DDIMScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
    )


def pipeline(vae: Any, text: Any, words: CLIPTokenizer, net: Any) -> Any:
    """The parts as one pipeline, without a safety checker."""
    return PARTS.StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=words,
        unet=net,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def load(folder: Path) -> Any:
    """The pipeline saved in a folder, in single precision, without any network."""
    pipe = PARTS.StableDiffusionPipeline.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, torch_dtype=torch.float32, low_cpu_mem_usage=False
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
