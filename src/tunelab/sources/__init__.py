"""Room of the sources: opens files, tables and Hub data sets; yields raw rows, each with its file and line."""

from tunelab.sources.config import SourceConfig
from tunelab.sources.locate_data import locate_data
from tunelab.sources.read_rows import read_rows
from tunelab.sources.row import Origin, Row
from tunelab.sources.seeded_sample import sample
from tunelab.sources.source_files import DataFiles, SourceFile
from tunelab.sources.strict_json import kind_of, parse_json
from tunelab.sources.text_stream import OnBad, refuse

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
