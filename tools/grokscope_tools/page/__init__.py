"""How do runs become one HTML page that opens anywhere?"""
import grokscope_tools.reading  # noqa: F401: it finds a Python that has the packages
