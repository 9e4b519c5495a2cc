"""Room of the sources: opens files, tables and Hub data sets; yields raw rows, each with its file and line."""

from tunelab.sources.config import SourceConfig
from tunelab.sources.files import DataFiles, SourceFile
from tunelab.sources.locate import locate_data
from tunelab.sources.opening import OnBad, refuse
from tunelab.sources.reading import read_rows
from tunelab.sources.row import Origin, Row
from tunelab.sources.sampling import sample
from tunelab.sources.strict_json import kind_of, parse_json

__all__ = [
    "DataFiles",
    "OnBad",
    "Origin",
    "Row",
    "SourceConfig",
    "SourceFile",
    "kind_of",
    "locate_data",
    "parse_json",
    "read_rows",
    "refuse",
    "sample",
]
