"""What an attacker may try against the collector: rights, tokens, limits, foreign bytes, who is told what."""
