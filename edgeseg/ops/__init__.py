"""Picture arithmetic: pure functions on arrays, no state, no I/O."""
