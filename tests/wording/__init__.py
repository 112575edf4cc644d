"""Rules of names and sentences, as counts that may only fall; CONTRIBUTING.md explains them."""
