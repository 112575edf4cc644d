"""A backend for modelport: a runtime of its own, which has no Softplus."""
