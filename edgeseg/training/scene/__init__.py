"""Training of the driving-scene networks: label pictures, many classes."""
