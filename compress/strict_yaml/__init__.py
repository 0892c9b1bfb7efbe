"""Strict YAML files: read as they are written, checked against types, every mistake at file:line:column.

- `load` turns a file into a `Part`, or into one error that names every mistake.
- `reader` and `scalars` read the YAML as it is written; PyYAML's own loader would read `1e-3` as text, `no` as false
  and `010` as 8.
- `messages` says to a person what did not fit; `wording` are the words that validators share.
"""

from compress.strict_yaml.load import Source, Wanted, load_part
from compress.strict_yaml.part import Part
from compress.strict_yaml.reader import Document, Loc, Place, Problem, dotted

__all__ = ["Document", "Loc", "Part", "Place", "Problem", "Source", "Wanted", "dotted", "load_part"]
