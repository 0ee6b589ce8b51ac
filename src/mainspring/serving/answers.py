from mainspring.answers import *  # noqa: F403
from mainspring.answers import __all__  # noqa: F401
