"""Amazon Rekognition Custom Labels on your own machine."""

import os

__version__ = "0.1.0"

# ONNX Runtime tells its maker about each session unless it was told not to before it loads (docs/privacy.md). Processes
# that are started inherit this.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
