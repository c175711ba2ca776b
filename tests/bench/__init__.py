"""Herald beside its peers, in one run, alternating: `make bench`."""
