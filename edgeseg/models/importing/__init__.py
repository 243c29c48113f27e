"""Published checkpoints as edgeseg models: `import_checkpoint` and the table it works from."""

from edgeseg.models.importing.architectures import ARCHITECTURES, Architecture, architecture
from edgeseg.models.importing.run import Wishes, check_target, import_checkpoint

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Wishes",
    "architecture",
    "check_target",
    "import_checkpoint",
]
