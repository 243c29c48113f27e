"""PyTorch definitions of the shipped networks; never imported at run time (DESIGN: torch tower)."""
