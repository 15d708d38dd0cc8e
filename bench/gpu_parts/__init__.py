"""What `bench/gpu.py` runs: a module a theme, a function a part."""
