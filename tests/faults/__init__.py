"""The fault harness (issue 6): what is killed, cut and delayed must neither lose nor invent a count."""
