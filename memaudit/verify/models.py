"""A Stable Diffusion model, loaded: what it is, what its prompts mean to it, what its U-Net predicts."""

from __future__ import annotations

import json
import math
import os
import struct
import warnings
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from memaudit.errors import BadInput, UsageError
from memaudit.verify.devices import OutOfMemory, dtype_name, find_device, find_dtype, first_batch, is_out_of_memory
from memaudit.verify.model_files import WEIGHTS, digest, find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.verify.model_files import Files

STEPS = 50
GUIDANCE = {"sd": 7.5, "sdxl": 5.0}  # what the two pipelines take by default
SIDE = {"sd": 64, "sdxl": 128}  # of the latent, where the U-Net does not say
REMEMBERED = 512  # prompts whose embeddings are kept
LONGEST = 10_000  # characters of a prompt that are looked at: far more than its 77 tokens need


class Embedded(NamedTuple):
    """What the text encoders make of one prompt. hidden: (1, tokens, width); pooled: (1, width), SDXL only;
    truncated: whether the prompt is longer than the model reads."""

    hidden: torch.Tensor
    pooled: torch.Tensor | None
    truncated: bool


@dataclass
class Model:
    """A pipeline and what memaudit needs to know of it.

    calls: U-Net rows evaluated so far (a batch of B pictures under guidance is 2B a step); batch: pictures at once,
    which shrinks when memory runs out; size: px of a square picture.
    """

    pipe: Any
    name: str
    digest: str
    family: str
    prediction_type: str
    size: int
    device: torch.device
    dtype: torch.dtype
    steps: int
    guidance: float
    batch: int
    calls: int = 0
    vae_dtype: torch.dtype = torch.float32
    timesteps: list[torch.Tensor] = field(default_factory=list)
    unconditional: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)  # screen: by (timestep, seed)
    _known: dict[str, Embedded] = field(default_factory=dict)
    _empty: Embedded | None = None

    def describe(self) -> dict[str, Any]:
        """What a report says of the model, in JSON types."""
        return {
            "model": self.name,
            "digest": self.digest,
            "family": self.family,
            "scheduler": type(self.pipe.scheduler).__name__,
            "prediction_type": self.prediction_type,
            "steps": self.steps,
            "guidance": self.guidance,
            "size": self.size,
            "device": str(self.device),
            "dtype": dtype_name(self.dtype),
            "safety_checker": "off",  # it would replace what it dislikes by black pictures, which copy nothing
        }

    @property
    def guided(self) -> bool:
        """Whether sampling uses classifier-free guidance, two U-Net rows a picture and step."""
        return self.guidance > 1

    def latent_shape(self) -> tuple[int, int, int]:
        side = self.size // self.pipe.vae_scale_factor
        return (self.pipe.unet.config.in_channels, side, side)

    def noise(self, seed: int) -> tuple[torch.Tensor, torch.Generator]:
        """(x_T float32 on the CPU of unit variance, the generator after it): on every device, in any batch."""
        generator = torch.Generator("cpu").manual_seed(seed)
        return torch.randn(self.latent_shape(), generator=generator), generator

    def embed(self, prompt: str) -> Embedded:
        """The embedding of a prompt, without gradient. Prompts go through the encoder one by one, so that what one
        becomes does not hang on its neighbours; the latest 512 are remembered."""
        if prompt not in self._known:
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            with torch.no_grad():
                self._known[prompt] = self.encode(prompt)
        return self._known[prompt]

    def embed_empty(self) -> Embedded:
        """What guidance contrasts a prompt with: the embedding of the empty prompt, or zeros where SDXL wants them."""
        if self._empty is None:
            with torch.no_grad():
                _, hidden, pooled = self._encoded("", True)
            self._empty = Embedded(hidden, pooled, False)
        return self._empty

    def encode(self, prompt: str) -> Embedded:
        """As `embed`, computed anew and open to gradients."""
        prompt = prompt[:LONGEST]
        hidden, _, pooled = self._encoded(prompt, False)
        tokens = self.pipe.tokenizer(prompt).input_ids
        return Embedded(hidden, pooled, len(tokens) > self.pipe.tokenizer.model_max_length)

    def _encoded(self, prompt: str, contrast: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """(hidden, hidden of the contrast, pooled of that which was asked for)."""
        asked = {"prompt": prompt, "num_images_per_prompt": 1, "do_classifier_free_guidance": contrast}
        out = self.pipe.encode_prompt(device=self.device, **asked)
        return out[0], out[1], (out[2 + contrast] if self.family == "sdxl" else None)

    def predict(self, noise: torch.Tensor, timestep: torch.Tensor, embedded: Sequence[Embedded]) -> torch.Tensor:
        """What the U-Net predicts, float32 (n, channels, h, w): `noise` of that shape under one embedding each."""
        more: dict[str, Any] = {}
        if self.family == "sdxl":
            ids = torch.tensor([self.size, self.size, 0, 0, self.size, self.size], dtype=self.dtype, device=self.device)
            pooled = torch.cat([one.pooled for one in embedded if one.pooled is not None])
            more["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": ids.expand(len(noise), -1)}
        hidden = torch.cat([one.hidden for one in embedded])
        noise = noise.to(self.device, self.dtype)
        out = self.pipe.unet(noise, timestep, encoder_hidden_states=hidden, return_dict=False, **more)[0]
        return torch.as_tensor(out.float())

    def alpha_bar(self, timestep: torch.Tensor | float) -> float:
        """The share of the picture in x_t (alphas_cumprod), in [0, 1]; NaN where the scheduler knows none."""
        known = getattr(self.pipe.scheduler, "alphas_cumprod", None)
        return math.nan if known is None else float(known[min(max(round(float(timestep)), 0), len(known) - 1)])

    def restore(self) -> None:
        """SDXL's VAE is put into fp32 to decode; a call that ended early leaves it there."""
        if self.pipe.vae.dtype != self.vae_dtype:
            self.pipe.vae.to(self.vae_dtype)


def look(name: str, device: str | None = None, dtype: str | None = None) -> None:
    """Raise as `load` does for a model that cannot be had or is of no known kind; loads nothing."""
    find(name, half=find_dtype(dtype, find_device(device)) == torch.float16)


def load(
    name: str,
    device: str | None = None,
    dtype: str | None = None,
    *,
    steps: int | None = None,
    guidance: float | None = None,
) -> Model:
    """Load a model from a folder or the hub, and nothing but safetensors.

    steps: 50 unless given; guidance: 7.5, SDXL 5.0. Raises UsageError for a device, precision, number of steps or
    guidance that cannot be, BadInput for a model that cannot be had, is of no known kind, is broken or does not fit.
    """
    where = find_device(device)
    precision = find_dtype(dtype, where)
    if guidance is not None and not (math.isfinite(guidance) and guidance >= 0):
        raise UsageError(
            f"a guidance of {guidance} is not possible", "expected a number from 0 upwards", "--guidance 7.5"
        )
    files = find(name, half=precision == torch.float16)
    pipe = _pipeline(files, precision, where)
    config = pipe.scheduler.config
    most = config.get("num_train_timesteps", 1000)
    steps = STEPS if steps is None else steps
    if not 1 <= steps <= most:
        raise UsageError(f"{steps} steps are not possible", f"{name} knows 1 to {most}", "--steps 50")
    size = (pipe.unet.config.sample_size or SIDE[files.family]) * pipe.vae_scale_factor
    model = Model(
        pipe=pipe,
        name=name,
        digest=digest(files),
        family=files.family,
        prediction_type=config.get("prediction_type", "epsilon"),
        size=size,
        device=where,
        dtype=precision,
        steps=steps,
        guidance=GUIDANCE[files.family] if guidance is None else float(guidance),
        batch=first_batch(where, size, precision),
        vae_dtype=pipe.vae.dtype,
    )
    scheduler = deepcopy(pipe.scheduler)
    scheduler.set_timesteps(steps, device=where)
    model.timesteps = list(scheduler.timesteps)
    pipe.unet.register_forward_hook(lambda _module, inputs, _out: _count(model, inputs))
    return model


def _count(model: Model, inputs: tuple[Any, ...]) -> None:
    model.calls += len(inputs[0])


def _pipeline(files: Files, dtype: torch.dtype, device: torch.device) -> Any:
    """The pipeline for evaluation, without gradients, bars or safety checker. Raises BadInput where it is broken."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it warns of torchvision while it is imported
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    kind: Any = diffusers.StableDiffusionXLPipeline
    extra: dict[str, Any] = {"add_watermarker": False}
    if files.family == "sd":
        kind, extra = diffusers.StableDiffusionPipeline, {"safety_checker": None, "requires_safety_checker": False}
    try:
        with warnings.catch_warnings():  # what a scheduler's settings would better be is not ours to change
            warnings.simplefilter("ignore")
            pipe = kind.from_pretrained(
                files.folder,
                variant=files.variant,
                torch_dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                low_cpu_mem_usage=False,  # needs accelerate
                feature_extractor=None,
                image_encoder=None,
                **extra,
            )
    except Exception as error:  # a damaged file shows in many ways, each library has its own
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BadInput(f"{files.folder} cannot be loaded", first[:300], "fetch or save the model again") from error
    _check_complete(pipe, files)
    pipe.set_progress_bar_config(disable=True)
    if pipe.unet.config.sample_size is None or pipe.unet.config.sample_size > 64:
        pipe.vae.enable_slicing()  # decoding 1,024 px takes more memory than the U-Net does
    for part in WEIGHTS:
        if (module := getattr(pipe, part, None)) is not None:
            module.eval().requires_grad_(False)
    try:
        return pipe.to(device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        hint = "a device with more memory, --dtype fp16, or close what else uses it"
        raise OutOfMemory(f"{files.folder} does not fit", f"out of memory on {device} while loading", hint) from error


def _check_complete(pipe: Any, files: Files) -> None:
    """Weights that a file lacks are made up at random by diffusers and transformers, which would audit noise: the files
    must hold at least as many numbers as each part has. Names are not compared: old ones are translated on loading."""
    for part in WEIGHTS:
        module = getattr(pipe, part, None)
        if module is None:
            continue
        stored = sum(_numbers(files, one) for one in files.used if one.startswith(f"{part}/"))
        wanted = sum(parameter.numel() for parameter in module.parameters())
        if stored < wanted:
            why = f"{part} has {wanted:,} weights, its files hold {stored:,}"
            raise BadInput(f"{files.folder} is incomplete", why, "fetch or save the model again")


def _numbers(files: Files, name: str) -> int:
    """How many numbers a file of weights holds, by its header (which loading has checked); 0 for other files."""
    if not name.endswith(".safetensors"):
        return 0
    with (files.folder / name).open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return sum(math.prod(one["shape"]) for key, one in header.items() if key != "__metadata__")
