"""The forms that models are exported in, told without loading what writes them."""

FORMS = ("onnx", "openvino", "torchscript", "coreml", "tensorrt")
