"""Random Stable Diffusion pipelines, real in every part: they load, sample and take gradients, and know nothing."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

if TYPE_CHECKING:
    from pathlib import Path

TOKENS = 24  # the longest prompt, both ends included
CHANNELS = 4  # of the latents
MERGES = [("l", "o"), ("lo", "w</w>"), ("e", "r</w>"), ("c", "a"), ("ca", "t</w>"), ("r", "e"), ("re", "d</w>")]


def tokenizer() -> CLIPTokenizer:
    """Letters and digits, one by one, and a few words as a whole: low, er, cat, red."""
    ends = ["<|startoftext|>", "<|endoftext|>"]
    letters = list(string.ascii_lowercase + string.digits + string.punctuation)
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in MERGES)]
    vocabulary = {piece: i for i, piece in enumerate([*pieces, *ends])}
    return CLIPTokenizer(vocab=vocabulary, merges=MERGES, model_max_length=TOKENS)


def text_model(words: CLIPTokenizer, projected: bool = False) -> Any:
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        projection_dim=16,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def unet(side: int, width: int, **more: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=side,
        in_channels=more.pop("in_channels", CHANNELS),
        out_channels=CHANNELS,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=2,
        norm_num_groups=8,
        **more,
    )


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=CHANNELS,
        norm_num_groups=4,
        mid_block_add_attention=False,
    )


def stable_diffusion(folder: Path, prediction: str = "epsilon", size: int = 16, seed: int = 0, **more: Any) -> Path:
    """Write a StableDiffusionPipeline with random weights into `folder`, and return it. `more` goes to the U-Net."""
    torch.manual_seed(seed)
    words = tokenizer()
    pipe = StableDiffusionPipeline(
        vae=vae(),
        text_encoder=text_model(words),
        tokenizer=words,
        unet=unet(size // 2, 16, **more),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False, prediction_type=prediction),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder)
    return folder


def stable_diffusion_xl(folder: Path, prediction: str = "epsilon", size: int = 16, seed: int = 0) -> Path:
    """Write a StableDiffusionXLPipeline with random weights into `folder`, and return it."""
    torch.manual_seed(seed)
    words = tokenizer()
    pipe = StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=text_model(words),
        text_encoder_2=text_model(words, projected=True),
        tokenizer=words,
        tokenizer_2=tokenizer(),
        unet=unet(
            size // 2,
            32,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 16,
        ),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False, prediction_type=prediction),
        add_watermarker=False,
    )
    pipe.save_pretrained(folder)
    return folder
