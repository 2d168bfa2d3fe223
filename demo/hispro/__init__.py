"""A living hospital, or several branches of one, on HisPro."""
