"""Speed of the operators that ship, at 1 and 2 threads: ``python -m benchmarks ops``.

The machine is shared: contestants take turns, and what is compared is the minimum of the rounds,
which is what the others leave alone. The peak of the processor is measured in the same turns.
"""
