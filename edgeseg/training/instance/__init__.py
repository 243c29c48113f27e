"""Training of the instance networks: objects with boxes and masks."""
