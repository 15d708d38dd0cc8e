"""The service's limits on images, for those who need no decoder."""

from __future__ import annotations

MIN_SIDE_PX = 64
MAX_SIDE_PX = 4096
MAX_ASPECT_RATIO = 20
MAX_FILE_BYTES = 15 * 2**20
