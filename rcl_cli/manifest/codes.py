"""Every manifest error and warning: its code, its literal message, and where it is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["line", "attribute", "metadata", "annotation"]


@dataclass(frozen=True, slots=True)
class Code:
    """A coded problem.

    Args:
        level: the part of the JSON line that carries it; None for problems of a whole file.
        listed: shown by ListDatasetEntries too, not only by training.
        ends_line: found early; nothing else is checked on that line.
    """

    code: str
    message: str
    level: Level | None = None
    listed: bool = False
    ends_line: bool = False

    @property
    def is_warning(self) -> bool:
        return self.code.startswith("WARNING_")

    def entry(self, attribute: str = "") -> dict[str, str]:
        """The object that goes into an errors list."""
        return {"code": self.code, "message": self.message.replace("{attr}", attribute)}


def _ends(code: str, message: str, level: Level, *, listed: bool) -> Code:
    return Code(code, message, level, listed=listed, ends_line=True)


# --- lines: in the order in which they are checked --------------------------------------------------------------------

INVALID_JSON_LINE = _ends("ERROR_INVALID_JSON_LINE", "The JSON Line has an invalid format.", "line", listed=False)
MISSING_SOURCE_REF = _ends("ERROR_MISSING_SOURCE_REF", "The source-ref key is missing.", "line", listed=False)
INVALID_SOURCE_REF_FORMAT = _ends(
    "ERROR_INVALID_SOURCE_REF_FORMAT", "The format of the source-ref value is invalid.", "line", listed=False
)
NO_LABEL_ATTRIBUTES = _ends("ERROR_NO_LABEL_ATTRIBUTES", "No label attributes found.", "line", listed=True)
INVALID_LABEL_ATTRIBUTE_FORMAT = _ends(
    "ERROR_INVALID_LABEL_ATTRIBUTE_FORMAT",
    "The format of the label attribute {attr} is invalid.",
    "attribute",
    listed=True,
)
INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT = _ends(
    "ERROR_INVALID_LABEL_ATTRIBUTE_METADATA_FORMAT",
    "The format of the label attribute metadata is invalid.",
    "metadata",
    listed=True,
)
MISSING_BOUNDING_BOX_CONFIDENCE = _ends(
    "ERROR_MISSING_BOUNDING_BOX_CONFIDENCE",
    "One or more bounding boxes has a missing confidence value.",
    "metadata",
    listed=True,
)
MISSING_CLASS_MAP_ID = _ends(
    "ERROR_MISSING_CLASS_MAP_ID", "One of more class ids is missing from the class map.", "metadata", listed=True
)
UNSUPPORTED_USE_CASE_TYPE = Code(
    "ERROR_UNSUPPORTED_USE_CASE_TYPE",
    "The use case type of the {attr}-metadata label attribute metadata is unsupported. Check the type field.",
    "metadata",
    listed=True,
)
NO_VALID_LABEL_ATTRIBUTES = Code(
    "ERROR_NO_VALID_LABEL_ATTRIBUTES", "No valid label attributes found.", "line", listed=True
)
INVALID_IMAGE = Code(
    "ERROR_INVALID_IMAGE", "The image is invalid. Check S3 path and/or image properties.", "line", listed=False
)
INVALID_IMAGE_DIMENSION = Code(
    "ERROR_INVALID_IMAGE_DIMENSION",
    "The image dimension(s) do not conform to allowed dimensions.",
    "attribute",
    listed=True,
)
INVALID_BOUNDING_BOX = Code(
    "ERROR_INVALID_BOUNDING_BOX", "The bounding box has off frame values.", "annotation", listed=True
)
BOUNDING_BOX_TOO_SMALL = Code(
    "ERROR_BOUNDING_BOX_TOO_SMALL",
    "The height and width of the bounding box is too small.",
    "annotation",
    listed=True,
)
NO_VALID_ANNOTATIONS = Code("ERROR_NO_VALID_ANNOTATIONS", "No valid annotations found.", "attribute", listed=True)
TOO_MANY_BOUNDING_BOXES = Code(
    "ERROR_TOO_MANY_BOUNDING_BOXES",
    "There are more bounding boxes than the allowed maximum.",
    "attribute",
    listed=True,
)
INVALID_LABEL_NAME_LENGTH = Code(
    "ERROR_INVALID_LABEL_NAME_LENGTH", "The label name is too long.", "metadata", listed=True
)
UNANNOTATED_RECORD = Code("WARNING_UNANNOTATED_RECORD", "Record is unannotated.", "line")
NO_ATTRIBUTE_ANNOTATIONS = Code("WARNING_NO_ATTRIBUTE_ANNOTATIONS", "No attribute annotations were found.", "attribute")
NO_ANNOTATIONS = Code("WARNING_NO_ANNOTATIONS", "No annotations were found.", "line")

# --- files: dataset creation and update -------------------------------------------------------------------------------

MANIFEST_INACCESSIBLE = Code(
    "ERROR_MANIFEST_INACCESSIBLE_OR_UNSUPPORTED_FORMAT", "The manifest file extension or contents are invalid."
)
MANIFEST_SIZE_TOO_LARGE = Code(
    "ERROR_MANIFEST_SIZE_TOO_LARGE", "The manifest file size exceeds the maximum supported size."
)
MANIFEST_ROWS_EXCEEDS_MAXIMUM = Code("ERROR_MANIFEST_ROWS_EXCEEDS_MAXIMUM", "The manifest file has too many rows.")
INVALID_PERMISSIONS_MANIFEST = Code(
    "ERROR_INVALID_PERMISSIONS_MANIFEST_S3_BUCKET", "The S3 bucket permissions are incorrect."
)
TOO_MANY_RECORDS_IN_ERROR = Code("ERROR_TOO_MANY_RECORDS_IN_ERROR", "The manifest file has too many terminal errors.")
MANIFEST_TOO_MANY_LABELS = Code("ERROR_MANIFEST_TOO_MANY_LABELS", "The manifest file has too many labels.")
INSUFFICIENT_IMAGES_FOR_DISTRIBUTE = Code(
    "ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_DISTRIBUTE",
    "The manifest file doesn't have enough labeled images to distribute the dataset.",
)
EMPTY_MANIFEST = Code("ERROR_EMPTY_MANIFEST", "The manifest file is empty.")
IMAGES_IN_MULTIPLE_BUCKETS = Code(
    "ERROR_IMAGES_IN_MULTIPLE_S3_BUCKETS", "The manifest file contains images from multiple S3 buckets."
)

# --- files: training, in the order that picks StatusMessage -----------------------------------------------------------

TOO_MANY_INVALID_ROWS = Code(
    "ERROR_TOO_MANY_INVALID_ROWS_IN_MANIFEST", "The manifest file contains too many invalid rows."
)
INVALID_PERMISSIONS_IMAGES = Code(
    "ERROR_INVALID_PERMISSIONS_IMAGES_S3_BUCKET", "The permissions for the images S3 bucket are invalid."
)
INSUFFICIENT_IMAGES_FOR_AUTOSPLIT = Code(
    "ERROR_INSUFFICIENT_IMAGES_PER_LABEL_FOR_AUTOSPLIT",
    "The manifest file contains insufficient labeled images per label to perform auto-split.",
)
MANIFEST_TOO_FEW_LABELS = Code("ERROR_MANIFEST_TOO_FEW_LABELS", "The manifest file has too few labels.")
MANIFEST_TOO_FEW_USABLE_LABELS = Code(
    "ERROR_MANIFEST_TOO_FEW_USABLE_LABELS", "The manifest file has too few usable labels."
)
INSUFFICIENT_LABEL_OVERLAP = Code(
    "ERROR_INSUFFICIENT_LABEL_OVERLAP",
    "Less than 50% label overlap between the training and testing manifest files.",
)
INSUFFICIENT_USABLE_LABEL_OVERLAP = Code(
    "ERROR_INSUFFICIENT_USABLE_LABEL_OVERLAP",
    "Less than 50% usable label overlap between the training and testing manifest files.",
)
FAILED_IMAGES_S3_COPY = Code("ERROR_FAILED_IMAGES_S3_COPY", "Failed to copy images from S3 bucket.")
CANNOT_WRITE_OUTPUT = Code("ERROR_CANNOT_WRITE_OUTPUT_S3_BUCKET", "Unable to write to output S3 bucket.")

TRAINING_ORDER = (
    TOO_MANY_INVALID_ROWS,
    IMAGES_IN_MULTIPLE_BUCKETS,
    INVALID_PERMISSIONS_IMAGES,
    INSUFFICIENT_IMAGES_FOR_AUTOSPLIT,
    MANIFEST_TOO_FEW_LABELS,
    MANIFEST_TOO_MANY_LABELS,
    MANIFEST_TOO_FEW_USABLE_LABELS,
    INSUFFICIENT_LABEL_OVERLAP,
    INSUFFICIENT_USABLE_LABEL_OVERLAP,
    FAILED_IMAGES_S3_COPY,
    TOO_MANY_RECORDS_IN_ERROR,
)
