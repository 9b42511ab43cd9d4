"""Did a series know first, before the test accuracy jumped?"""
import grokscope_tools.reading  # noqa: F401: it finds a Python that has the packages
