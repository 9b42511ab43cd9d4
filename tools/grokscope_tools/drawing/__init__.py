"""How is it drawn? Needs matplotlib besides what reading needs, and finds a Python that has it in the same way."""
import grokscope_tools.reading  # noqa: F401
from grokscope_tools.command_line.process import require_modules

require_modules("matplotlib", "numpy")
