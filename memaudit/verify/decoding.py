"""A picture from a stranger's bytes: few formats, bounded in bytes and pixels, and every failure is a reason."""

from __future__ import annotations

import io
import stat
import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from memaudit.verify.likeness import fitted

if TYPE_CHECKING:
    from pathlib import Path


FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # what training sets hold; every other decoder is one more to attack
MAX_BYTES = 64 << 20  # of one encoded picture
MAX_PIXELS = 64_000_000  # 192 MB once decoded


class Unusable(Exception):
    """A training picture that cannot be had; its text is the reason, short enough to be counted."""


def read_file(path: Path) -> bytes:
    """The bytes of a picture's file. Raises Unusable: devices and pipes, which may never end, are not opened."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise Unusable("not a file")
        if facts.st_size > MAX_BYTES:
            raise Unusable("more than 64 MiB")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Unusable("no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise Unusable("unreadable file") from error


def decoded_picture(data: bytes, size: int | None = None) -> np.ndarray:
    """An encoded picture as uint8 (H, W, 3), turned as its EXIF says; of an animation the first frame. Raises Unusable.

    size: `fitted` to (size, size, 3); None leaves it as it is.

    Large JPEGs are decoded at a fraction of their size, at least twice `size`. Not for several threads at once: the
    filter for warnings is the process's.
    """
    if not data:
        raise Unusable("no bytes")
    if len(data) > MAX_BYTES:
        raise Unusable("more than 64 MiB")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow remarks on every oddity of a file
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Unusable("more than 64 million pixels")
                if size is None:
                    return np.asarray(_turned(image).convert("RGB"), np.uint8)
                image.draft("RGB", (2 * size, 2 * size))
                return fitted(_turned(image), size)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise Unusable("more than 64 million pixels") from error
        except UnidentifiedImageError as error:
            raise Unusable("no JPEG, PNG, WEBP, GIF or BMP") from error
        except Unusable:
            raise
        except Exception as error:  # decoders raise nearly anything on bytes that were made to break them
            raise Unusable("broken or cut off") from error


def _turned(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block does not spoil the picture
        return image
