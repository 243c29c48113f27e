"""edgeseg: real-time segmentation of live and recorded video on edge devices."""

__version__ = "0.1.0"
