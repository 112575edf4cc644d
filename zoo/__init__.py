"""The zoo: public architectures deployed by modelport, and counted; ``python -m zoo`` runs it."""
