"""The rules by what they are about; to import this is to have them all in `RULES`."""

from scripts.policy.rule import RULES
from scripts.policy.rules import apt, arguments, compilers, files, images, modules, mounts

__all__ = ["RULES", "apt", "arguments", "compilers", "files", "images", "modules", "mounts"]
