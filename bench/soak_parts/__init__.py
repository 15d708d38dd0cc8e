"""Who works in bench/soak.py."""
