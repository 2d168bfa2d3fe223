"""Small real servers that speak the protocols of the HTTP kinds, faults included; and the certificates to serve TLS."""
