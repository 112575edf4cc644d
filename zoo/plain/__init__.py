"""Small architectures of all kinds in plain torch: they need no library, and are in `make test`."""
