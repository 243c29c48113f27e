"""Published checkpoints as edgeseg models: `import_checkpoint` and the table it works from."""

from edgeseg.models.importing.architectures import ARCHITECTURES, Architecture, architecture
from edgeseg.models.importing.run import Wishes, import_checkpoint

__all__ = ["ARCHITECTURES", "Architecture", "Wishes", "architecture", "import_checkpoint"]
