"""What two parts of nhipso must agree on; imports nothing of ours."""

__version__ = "0.1.0"
