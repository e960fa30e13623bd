"""The files of a model: found in a folder or fetched from the hub, checked before anything of them is loaded.

Model files come from strangers. Only pipelines, parts and weights of known kinds pass: no pickles, no custom code.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from memaudit.errors import BadInput

INDEX = "model_index.json"
FAMILIES = {"StableDiffusionPipeline": "sd", "StableDiffusionXLPipeline": "sdxl"}
PARTS = {
    "sd": {
        "unet": ("UNet2DConditionModel",),
        "vae": ("AutoencoderKL",),
        "text_encoder": ("CLIPTextModel",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
        "scheduler": (),
    },
}
PARTS["sdxl"] = {
    **PARTS["sd"],
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer_2": PARTS["sd"]["tokenizer"],
}
WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
WEIGHTS["text_encoder_2"] = "model"
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack")
PREDICTIONS = ("epsilon", "v_prediction")
LARGEST_CONFIG = 1 << 20  # bytes
LARGEST_SIDE = 512  # of the latent: 4,096 px
CHUNK = 1 << 22

KNOWN = "memaudit samples StableDiffusionPipeline and StableDiffusionXLPipeline (SD 1.x, SD 2.x, SDXL)"
OTHER = "--model with a Stable Diffusion 1.x, 2.x or SDXL model, as a diffusers folder or hub id"
CONVERT = "where you trust it, load it with diffusers and pipe.save_pretrained(FOLDER, safe_serialization=True)"


class Files(NamedTuple):
    """What a model consists of. family: "sd" or "sdxl"; variant: "fp16" where those weights are taken; used: the names,
    relative to folder, of every file that is read."""

    folder: Path
    family: str
    variant: str | None
    used: tuple[str, ...]


def find(name: str, half: bool = False) -> Files:
    """The files of a folder, or of a hub id ("owner/model"), which is fetched; weights in fp16 where there are any and
    `half` is true. The network is used for a hub id only.

    Raises BadInput, with the reason, for whatever cannot be had or is no Stable Diffusion with a U-Net in safetensors.
    """
    path = Path(name).expanduser()
    if path.is_file():
        raise _single_file(path)
    if path.is_dir():
        names = [p.relative_to(path).as_posix() for p in sorted(path.glob("*/*")) if p.is_file()]
        family = _family(_read_index(path), name)
        used = _check_configs(path, names, family, name)
        variant, weights = _choose(names, family, half, name)
        return Files(path, family, variant, (*used, *weights))
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        return _fetch(name, half)
    raise BadInput(f"no model at {name}", "it is no folder, and a hub id looks like owner/model", OTHER)


def digest(files: Files) -> str:
    """16 hex over the names and the content of the files in use, O(bytes). Where the folder lies does not count."""
    total = hashlib.sha256()
    for name in sorted(files.used):
        content = hashlib.sha256()
        try:
            with (files.folder / name).open("rb") as stream:
                while block := stream.read(CHUNK):
                    content.update(block)
        except OSError as error:
            raise BadInput(f"{files.folder / name} cannot be read", str(error)) from error
        total.update(f"{name}\0{content.hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def read_json(path: Path) -> dict[str, Any]:
    """An object from a configuration file of at most 1 MiB. Raises BadInput for anything else."""
    try:
        with path.open("rb") as stream:
            text = stream.read(LARGEST_CONFIG + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read", error.strerror or str(error), "a complete model folder") from error
    try:
        found = json.loads(text) if len(text) <= LARGEST_CONFIG else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadInput(
            f"{path} is no configuration", "expected a JSON object of at most 1 MiB", "fetch the model again"
        )
    return found


def _single_file(path: Path) -> BadInput:
    if path.suffix in PICKLES:
        why = "a pickle can run code when it is opened; memaudit opens safetensors only"
        return BadInput(f"{path} is a pickle checkpoint", why, CONVERT)
    why = "a single file does not say which scheduler, sizes and text encoder belong to it"
    hint = "StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER), then --model FOLDER"
    return BadInput(f"{path} is not a model folder", why, hint)


def _read_index(folder: Path) -> dict[str, Any]:
    if (folder / INDEX).is_file():
        return read_json(folder / INDEX)
    inside = sorted(p.name for p in folder.iterdir())
    if any("lora" in name.lower() for name in inside):
        hint = "fuse it into its base: pipe.load_lora_weights(...), pipe.fuse_lora(), pipe.save_pretrained(FOLDER)"
        raise BadInput(f"{folder} is a LoRA, not a model", f"found: {', '.join(inside[:5])}", hint)
    why = f"no {INDEX} in it" + (f"; found: {', '.join(inside[:5])}" if inside else "; it is empty")
    raise BadInput(f"{folder} is not a diffusers model", why, OTHER)


def _family(index: dict[str, Any], name: str) -> str:
    """Which family an index declares; every part of it is of a known class of a known library."""
    declared = index.get("_class_name")
    if not isinstance(declared, str) or declared not in FAMILIES:
        shown = declared if isinstance(declared, str) else "a custom pipeline, whose code memaudit does not run"
        without = "; it has no U-Net" if "unet" not in index else ""
        raise BadInput(f"{name} cannot be sampled", f"found: {shown}{without}; {KNOWN}", OTHER)
    family = FAMILIES[declared]
    for part, classes in PARTS[family].items():
        entry = index.get(part)
        if not isinstance(entry, list) or len(entry) != 2 or not all(isinstance(one, str) for one in entry):
            raise BadInput(f"{name} is incomplete", f"its {INDEX} names no {part}", OTHER)
        library, kind = entry
        if library not in ("diffusers", "transformers") or (classes and kind not in classes):
            expected = " or ".join(classes) or "a scheduler of diffusers"
            why = f"its {part} is {library}.{kind}; expected: {expected}; custom code is never run"
            raise BadInput(f"{name} cannot be sampled", why, OTHER)
    return family


def _check_configs(folder: Path, names: list[str], family: str, name: str) -> tuple[str, ...]:
    """Look into the configurations of the parts; returns which files of settings and words are read."""
    unet, vae = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    why = _why_not_unet(unet, vae, family) or _why_not_scheduler(scheduler)
    if why:
        raise BadInput(f"{name} cannot be sampled", why, OTHER)
    return (INDEX, *_settings(names, family))


def _settings(names: list[str], family: str) -> list[str]:
    parts = PARTS[family]
    return [n for n in names if n.split("/")[0] in parts and n.endswith((".json", ".txt")) and "index" not in n]


def _why_not_unet(unet: dict[str, Any], vae: dict[str, Any], family: str) -> str:
    channels, latent = unet.get("in_channels", 4), vae.get("latent_channels", 4)
    if channels == 2 * latent + 1:
        return f"its U-Net takes {channels} channels: an inpainting model, which needs a picture to start from"
    if channels != latent or unet.get("out_channels", 4) != latent:
        return f"its U-Net takes {channels} channels and its latents have {latent}: no plain text-to-image model"
    if unet.get("time_cond_proj_dim") is not None:
        return "its U-Net is distilled for guidance (LCM): it makes no unconditional prediction to compare with"
    if unet.get("class_embed_type") or unet.get("num_class_embeds"):
        return "its U-Net wants classes beside the text"
    if unet.get("addition_embed_type") != ("text_time" if family == "sdxl" else None):
        return (
            f"its U-Net wants {unet.get('addition_embed_type')} beside the text, which is not what its pipeline gives"
        )
    side = unet.get("sample_size")
    if side is not None and (not isinstance(side, int) or not 1 <= side <= LARGEST_SIDE):
        return f"its latents have the size {str(side)[:40]}; squares of 1 to {LARGEST_SIDE} are known"
    return ""


def _why_not_scheduler(scheduler: dict[str, Any]) -> str:
    prediction = scheduler.get("prediction_type", "epsilon")
    if str(scheduler.get("_class_name", "")).startswith("FlowMatch") or scheduler.get("use_flow_sigmas"):
        prediction = "flow"
    if prediction not in PREDICTIONS:
        return f"it predicts {str(prediction)[:40]}; known: {' and '.join(PREDICTIONS)}"
    return ""


def _choose(names: list[str], family: str, half: bool, name: str) -> tuple[str | None, tuple[str, ...]]:
    """(variant, files of weights): one precision for all parts, fp16 first if `half`."""
    parts = [part for part in WEIGHTS if part in PARTS[family]]
    for variant in ("fp16", None) if half else (None, "fp16"):
        found = {part: _weights(names, part, variant) for part in parts}
        if all(found.values()):
            return variant, tuple(one for part in parts for one in found[part])
    lacking = next(part for part in parts if not (_weights(names, part, None)))
    inside = [n.split("/", 1)[1] for n in names if n.startswith(f"{lacking}/")]
    if any(n.endswith(PICKLES) for n in inside):
        why = f"{lacking} has no .safetensors; a pickle can run code when it is opened, memaudit opens safetensors only"
        raise BadInput(f"{name} holds pickled weights", why, CONVERT)
    why = f"no {WEIGHTS[lacking]}.safetensors in {lacking}; found: {', '.join(inside[:5]) or 'nothing'}"
    raise BadInput(f"{name} is incomplete", why, "fetch or save the model again")


def _weights(names: list[str], part: str, variant: str | None) -> list[str]:
    """The weights of a part, with the index where they come in shards; empty where there are none."""
    base = WEIGHTS[part] + (f".{variant}" if variant else "")
    whole = f"{part}/{base}.safetensors"
    if whole in names:
        return [whole]
    shard = re.compile(rf"{re.escape(f'{part}/{base}')}-\d+-of-\d+\.safetensors")
    index = f"{part}/{WEIGHTS[part]}.safetensors.index" + (f".{variant}" if variant else "") + ".json"
    shards = [n for n in names if shard.fullmatch(n)]
    return [*shards, index] if shards and index in names else []


def _fetch(name: str, half: bool) -> Files:
    """Settings first; the weights, which are large, only once these have passed."""
    index = _download(name, INDEX)
    folder = index.parent
    family = _family(_read_index(folder), name)
    names = _listing(name, folder)
    for one in _settings(names, family):
        _download(name, one, folder.name)
    used = _check_configs(folder, names, family, name)
    variant, weights = _choose(names, family, half, name)
    for one in weights:
        _download(name, one, folder.name)
    return Files(folder, family, variant, (*used, *weights))


def _listing(name: str, folder: Path) -> list[str]:
    """What the hub has of this revision; without a connection, what lies here from an earlier time."""
    import huggingface_hub

    try:
        return sorted(huggingface_hub.HfApi().list_repo_files(name, revision=folder.name))
    except Exception:  # the hub's client raises errors of three libraries; what is missing is told in the next step
        return [p.relative_to(folder).as_posix() for p in sorted(folder.glob("*/*"))]


def _download(name: str, file: str, revision: str | None = None) -> Path:
    import huggingface_hub

    try:
        return Path(huggingface_hub.hf_hub_download(name, file, revision=revision))
    except Exception as error:  # as above
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        hint = "check the name, the connection and (gated models) huggingface-cli login, or give a folder"
        raise BadInput(f"{name} cannot be had", f"no folder of this name, and the hub: {first[:200]}", hint) from error
