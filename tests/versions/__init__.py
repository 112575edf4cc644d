"""The versions of Python and of packages that the tests run with: `make versions`."""
