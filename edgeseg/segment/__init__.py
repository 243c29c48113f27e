"""Frame to result: preprocessing, network, decoding, gating."""
