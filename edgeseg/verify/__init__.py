"""Do all backends and precisions of a model give the same masks?"""

from edgeseg.verify.run import Combination, Verified, VerifyOptions, verify_model

__all__ = ["Combination", "Verified", "VerifyOptions", "verify_model"]
