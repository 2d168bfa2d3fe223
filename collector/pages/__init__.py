"""The portal: pages made on the server, Vietnamese first, usable without script. One module a subject."""
