"""Inference backends: one class per file behind the Backend protocol."""
