"""Brand detection: scenes with boxes, composed from logo images that only carry image-level labels.

A logo image is never used as one whole-image box. Each scene gets a varied background and one to four logos, cut out
where their surroundings are plain, scaled, turned, seen in perspective, partly covered, and lit like the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from rcl_cli.domain import Box, Sample
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.geometry import fit_longer_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCENE_PX = (480, 384)
_LOGO_PX = 320
_PLAIN_STD = 22.0
_CUT_DISTANCE = 36.0
_MIN_VISIBLE_PX = 10


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo ready to be pasted: RGBA (h, w, 4) uint8, cropped to what is visible."""

    label: str
    pixels: NDArray[np.uint8]


def _border(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def cut_out(label: str, image: NDArray[np.uint8]) -> Logo:
    """Make plain surroundings transparent, from the border inwards; anything else stays a rectangle.

    Args:
        image: (h, w, 3) uint8 RGB.
    """
    image = fit_longer_side(image, _LOGO_PX)
    border = _border(image).astype(np.float32)
    alpha = np.full(image.shape[:2], 255, dtype=np.uint8)
    colour = np.median(border, axis=0)
    if np.abs(border - colour).mean() < _PLAIN_STD:
        near = (np.linalg.norm(image.astype(np.float32) - colour, axis=2) < _CUT_DISTANCE).astype(np.uint8)
        framed = cv2.copyMakeBorder(near, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
        _, regions = cv2.connectedComponents(framed, connectivity=4)
        outside = regions[1:-1, 1:-1] == regions[0, 0]
        if 1 - outside.mean() > 0.02:
            alpha[outside] = 0
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    rgba = np.dstack([image, alpha])
    return Logo(label, rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def background(rng: np.random.Generator, textures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """A scene without logos: smooth colours, noise of several sizes, shapes, and smeared pieces of real pictures."""
    width, height = SCENE_PX
    scene = _smooth(rng, int(rng.integers(2, 7)), 255.0)
    for cells in (8, 24, 80):
        scene += _smooth(rng, cells, float(rng.uniform(0, 60))) - 15
    pixels: Any = np.clip(scene, 0, 255).astype(np.uint8)
    if textures and rng.random() < 0.4:
        piece = cv2.resize(textures[int(rng.integers(len(textures)))], (width, height))
        size = int(rng.integers(10, 40)) * 2 + 1
        pixels = cv2.addWeighted(pixels, 0.4, cv2.GaussianBlur(piece, (size, size), 0), 0.6, 0)
    for _ in range(int(rng.integers(3, 16))):
        _shape(rng, pixels)
    return np.asarray(pixels, dtype=np.uint8)


def _smooth(rng: np.random.Generator, cells: int, amplitude: float) -> NDArray[np.float32]:
    coarse = rng.random((cells, cells, 3), dtype=np.float32) * amplitude
    return np.asarray(cv2.resize(coarse, SCENE_PX, interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _shape(rng: np.random.Generator, scene: NDArray[np.uint8]) -> None:
    """Something that is no logo: it teaches what to leave alone."""
    height, width = scene.shape[:2]
    colour = tuple(int(c) for c in rng.integers(0, 256, 3))
    x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
    size = int(rng.integers(8, 120))
    thick = int(rng.choice((-1, 2, 4, 8)))
    kind = rng.integers(5)
    if kind == 0:
        cv2.rectangle(scene, (x, y), (x + size, y + int(rng.integers(8, 120))), colour, thick)
    elif kind == 1:
        cv2.circle(scene, (x, y), size // 2, colour, thick)
    elif kind == 2:
        cv2.line(scene, (x, y), (int(rng.integers(0, width)), int(rng.integers(0, height))), colour, max(2, thick))
    elif kind == 3:
        points = rng.integers(-size, size + 1, (int(rng.integers(3, 7)), 2)) + np.array([x, y])
        cv2.fillPoly(scene, [points.astype(np.int32)], colour)
    else:
        text = "".join(rng.choice(tuple("ABCDEFGHKLMNPRSTUVXYZ0123456789"), int(rng.integers(2, 8))))
        cv2.putText(scene, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(0.4, 1.6)), colour, 2, cv2.LINE_AA)


def _placed(rng: np.random.Generator, logo: Logo) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The logo in scene coordinates: colour (H, W, 3) and cover (H, W) in 0..1."""
    width, height = SCENE_PX
    h, w = logo.pixels.shape[:2]
    longer = float(np.exp(rng.uniform(np.log(36), np.log(240))))
    scale = longer / max(h, w)
    half = np.array([w, h]) * scale / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    corners = corners * (1 + rng.normal(0, 0.06, (4, 2)))
    angle = np.deg2rad(rng.normal(0, 12))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    room = np.maximum(np.array([width, height]) / 2 - half * 0.8, 1)
    centre = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * room
    target = (corners @ turn.T + centre).astype(np.float32)
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float32)
    transform = cv2.getPerspectiveTransform(source, target)
    pixels = logo.pixels
    if scale < 0.5:
        # Shrinking in one step would alias; blur away what the target can't hold.
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.35 / scale)
    warped = cv2.warpPerspective(pixels, transform, SCENE_PX, flags=cv2.INTER_LINEAR).astype(np.float32)
    return warped[..., :3] * float(rng.uniform(0.6, 1.2)), warped[..., 3] / 255


def compose(
    rng: np.random.Generator, logos: Sequence[Logo], textures: Sequence[NDArray[np.uint8]]
) -> tuple[NDArray[np.uint8], list[tuple[str, Box]]]:
    """One scene and its boxes."""
    width, height = SCENE_PX
    scene: Any = background(rng, textures).astype(np.float32)
    owner = np.zeros((height, width), dtype=np.int32)
    placed: list[tuple[str, int]] = []
    for number in range(1, int(rng.integers(1, 5)) + 1):
        logo = logos[int(rng.integers(len(logos)))]
        colour, cover = _placed(rng, logo)
        covered = owner[cover > 0.5] > 0
        if not covered.size or covered.mean() > 0.1:
            continue
        if rng.random() < 0.25:
            _occlude(rng, cover)
        scene = scene * (1 - cover[..., None]) + colour * cover[..., None]
        owner[cover > 0.5] = number
        placed.append((logo.label, number))
    scene = scene * rng.uniform(0.6, 1.25) + rng.normal(0, rng.uniform(0, 8), scene.shape)
    image = np.clip(scene, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.3))), dtype=np.uint8)
    return image, [(label, box) for label, number in placed if (box := _visible_box(owner == number))]


def _occlude(rng: np.random.Generator, cover: NDArray[np.float32]) -> None:
    """Hide a strip of up to a third of the logo, so that the scene covers it."""
    rows, columns = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
    if not len(rows):
        return
    axis = rng.integers(2)
    span = rows if axis == 0 else columns
    size = int(len(span) * rng.uniform(0.1, 0.33))
    start = span[int(rng.integers(0, max(1, len(span) - size)))]
    if axis == 0:
        cover[start : start + size] = 0
    else:
        cover[:, start : start + size] = 0


def _visible_box(mask: NDArray[np.bool_]) -> Box | None:
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) < _MIN_VISIBLE_PX or len(columns) < _MIN_VISIBLE_PX:
        return None
    return Box(
        columns[0] / width, rows[0] / height, (columns[-1] + 1 - columns[0]) / width, (rows[-1] + 1 - rows[0]) / height
    )


def compose_scenes(samples: Sequence[Sample], folder: Path, count: int, seed: int) -> list[Sample]:
    """Compose a localization training set.

    Args:
        samples: logo images with an image-level label; of several the first counts.
        folder: gets the scenes as JPEG files.
        count: how many scenes.

    Returns:
        The scenes as samples with boxes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    images = [(sample.labels[0], fit_longer_side(decode(sample.path), SCENE_PX[0])) for sample in samples]
    logos = [cut_out(label, image) for label, image in images]
    textures = [image for _, image in images]
    scenes = []
    for number in range(count):
        image, boxes = compose(rng, logos, textures)
        path = folder / f"scene-{number:05}.jpg"
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        scenes.append(Sample(str(path), (), tuple(boxes), path.name, *SCENE_PX))
    return scenes


def scene_count(logos: int) -> int:
    """Enough scenes for every logo to be seen in many places, within what a CPU can train on."""
    return int(np.clip(40 * logos, 400, 4000))
