"""Clips kept as mp4, read and written through PyAV."""

from __future__ import annotations

import io
from pathlib import Path
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


def encode_clip(clip: npt.NDArray[np.uint8], crf: int | None = None, *, tune: str | None = None) -> bytes:
    """Return a clip as mp4 in the published sequences' form: H.264 by x264's ``veryslow``, one frame per second.

    Chroma is not subsampled (4:4:4): the published command names no pixel format, and ffmpeg takes the one of x264's
    that loses least of RGB. The same frames do not always give the same bytes, even with x264's one thread.

    Args:
        clip: uint8 (frames, H, W, 3), RGB.
        crf: x264's constant rate factor, lower is better; None: its default, 23.
        tune: x264's tuning, such as ``grain``, or None.

    Source: hendrycks/robustness, ``ImageNet-P/create_p/make_imagenet_p.py``.
    """
    import av

    options = {"preset": "veryslow", "crf": None if crf is None else str(crf), "tune": tune}
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        chosen = {key: value for key, value in options.items() if value is not None}
        stream: Any = container.add_stream("libx264", rate=1, options=chosen)
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = "yuv444p"
        stream.thread_count = 1
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def check_clip(path: Path, frames: int, size: tuple[int, int]) -> None:
    """Check by a clip's header that it is a video of so many frames of this height and width.

    Raises:
        CorruptImageError: it is not, or is missing.
    """
    import av

    try:
        with av.open(str(path), "r") as container:
            stream = container.streams.video[0]
            found = (stream.frames, stream.height, stream.width)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise CorruptImageError(str(path), error) from error
    if found != (frames, *size):
        raise CorruptImageError(str(path), f"it has {found[0]} frames of {found[1:]}; {frames} of {size} are expected")
