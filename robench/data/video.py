"""Clips kept as mp4, read through PyAV."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.data.decode import CorruptImageError


def decode_clip(data: bytes, frames: int, file: str) -> npt.NDArray[np.uint8]:
    """Return the frames of a clip as uint8 of shape (frames, H, W, 3), RGB.

    Args:
        data: the bytes of the file.
        frames: how many frames it must have.
        file: what errors call it.

    Raises:
        CorruptImageError: not a video, or one with another number of frames.
    """
    import av

    try:
        with av.open(io.BytesIO(data), "r") as container:
            # One decoding thread a clip: clips are short, and several are decoded side by side.
            container.streams.video[0].thread_type = "NONE"
            decoded: list[Any] = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise CorruptImageError(file, error) from error
    if len(decoded) != frames:
        raise CorruptImageError(file, f"it has {len(decoded)} frames, {frames} are expected")
    return np.stack(decoded)
