"""The zoo: public architectures taken through modelport, counted; ``python -m zoo`` runs it."""
