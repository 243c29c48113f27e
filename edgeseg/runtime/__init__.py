"""Threads, queues and order: how frames flow."""
