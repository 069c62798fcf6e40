"""Read the raw rows: CSV, JSON lines or Parquet, one file or a folder of them; text may be compressed (.gz).

A CSV may have any usual delimiter and encoding, and decimal commas: that is found out from its beginning.
Replace the body of `ingest` with your own source; keep its signature.
"""

import codecs
import csv
import gzip
import os
import re
import shutil
from pathlib import Path

import polars as pl
import polars.selectors as cs

TEXT = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
KINDS = (*TEXT, *(f"{kind}.gz" for kind in TEXT), ".parquet")
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-"]


def ingest(source: str) -> pl.LazyFrame:
    """Return the rows of every file, in the order of their names; they are read when they are asked for.

    `source` is a file or a folder. Raises OSError, ValueError or a Polars error when a file is missing or
    torn.
    """
    scans = {path.name: _scan(path) for path in files(source)}
    names = next(iter(scans.values())).collect_schema().names()
    for name, rows in scans.items():
        if odd := sorted(set(names) ^ set(rows.collect_schema())):
            raise ValueError(f"column {odd[0]!r} is not in every file, see {name}")
    return pl.concat([rows.select(names) for rows in scans.values()], how="vertical_relaxed")


def files(source: str) -> list[Path]:
    """Return the files that `ingest` reads."""
    path = Path(source)
    found = [path] if path.is_file() else sorted(p for p in path.glob("*") if p.name.lower().endswith(KINDS))
    if not found:
        raise FileNotFoundError(f"{source}: no file that ends in {', '.join(KINDS)}")
    return found


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix.lower() == ".gz":
        path = _rewritten(path, path.stem)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return pl.scan_ndjson(path, infer_schema_length=None)
    if path.suffix.lower() == ".parquet":
        named, exact = cs.categorical() | cs.enum(), cs.decimal()
        # As a CSV would hold them: words as text, numbers as floats, and nothing where no number is.
        plain = pl.scan_parquet(_address(path), glob=False).with_columns(named.cast(pl.String), exact.cast(pl.Float64))
        return plain.with_columns(cs.float().fill_nan(None))
    encoding = _encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        lines = [line for line in (file.readline() for _ in range(200)) if line.strip()]
    if not lines:
        raise ValueError(f"{path.name} is empty")
    quote = "'" if re.match(r"\s*'[^']*'[,;\t|]", lines[0]) else '"'
    rows = {mark: list(csv.reader(lines, delimiter=mark, quotechar=quote)) for mark in ",;\t|"}
    # The delimiter that cuts most lines into as many fields as the first one, and into the most.
    even = {mark: sum(len(row) == len(found[0]) for row in found) for mark, found in rows.items()}
    mark = max(rows, key=lambda mark: (len(rows[mark][0]) > 1, even[mark], len(rows[mark][0])))
    if twice := {name for name in rows[mark][0] if rows[mark][0].count(name) > 1}:
        raise ValueError(f"{path.name}: two columns are named {sorted(twice)[0]!r}; rename one")
    fields = [field for row in rows[mark][1:] for field in row]
    commas, points = (sum(bool(re.fullmatch(rf"-?\d+{sign}\d+", f)) for f in fields) for sign in (",", r"\."))
    text = pl.scan_csv(
        _address(path if encoding == "utf-8-sig" else _rewritten(path, path.name, encoding)),
        glob=False,
        separator=mark,
        quote_char=quote,
        new_columns=rows[mark][0],  # Polars leaves doubled quotes in a name as they are
        null_values=MISSING,
        infer_schema=False,
    )
    return _typed(text, path.name, decimal_comma=mark != "," and commas > points)


def _typed(text: pl.LazyFrame, name: str, decimal_comma: bool) -> pl.LazyFrame:
    """Return columns of text as integers, numbers or booleans where every value is one; dates stay text."""
    made: dict[str, dict[str, pl.Expr]] = {"integer": {}, "number": {}, "boolean": {}}
    for column in text.collect_schema():
        bare = pl.col(column).str.strip_chars()
        point = bare.str.replace(",", ".", literal=True) if decimal_comma else bare
        # Longer than an integer can be: an identifier, which would lose digits as a number.
        number = pl.when((bare.str.len_bytes() < 19) | bare.str.contains(r"\D")).then(point)
        low = bare.str.to_lowercase()
        made["integer"][column] = bare.cast(pl.Int64, strict=False)
        made["number"][column] = number.cast(pl.Float64, strict=False)
        made["boolean"][column] = pl.when(low.is_in(["true", "false"])).then(low == "true")
    # What the first thousand rows rule out need not be asked of all.
    for rows, fits in ((text.head(1000), (False, None)), (text, (False,))):
        asked = {f"{kind} {c}": _wrong(c, value) for kind in made for c, value in made[kind].items()}
        try:
            told = rows.select(pl.len(), **asked).collect(engine="streaming").row(0, named=True)
        except pl.exceptions.ComputeError as error:
            what = " ".join(str(error).split())
            what = "a line has more fields than the first one" if "more fields" in what else what
            raise ValueError(f"{name}: {what}") from None
        made = {kind: {c: value for c, value in made[kind].items() if told[f"{kind} {c}"] in fits} for kind in made}
    found = made["boolean"] | made["number"] | made["integer"]
    return text.with_columns(value.alias(column) for column, value in found.items())


def _wrong(column: str, value: pl.Expr) -> pl.Expr:
    """Whether some text of the column is no such value; null where there is none at all."""
    some = pl.col(column).is_not_null()
    return pl.when(some.any()).then((some & value.is_null()).any())


def _address(path: Path) -> str:
    """Return a path as Polars reads it piece by piece; a plain one it would map into memory whole."""
    return path.absolute().as_uri()


def _rewritten(path: Path, name: str, encoding: str = "") -> Path:
    """Write a file of another encoding as UTF-8, or a compressed one as it was, to data/plain, piece by piece."""
    made = Path("data/plain", name)
    made.parent.mkdir(parents=True, exist_ok=True)
    part = made.with_name(f"{name}.tmp")
    if encoding:
        with path.open(encoding=encoding, newline="") as old, part.open("w", encoding="utf-8", newline="") as new:
            shutil.copyfileobj(old, new, 1 << 20)
    else:
        with gzip.open(path) as packed, part.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    os.replace(part, made)
    return made


def _encoding(path: Path) -> str:
    """Return UTF-8 if all of the file is, UTF-16 if it says so, else the Windows encoding of western Europe."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        if file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        try:
            while part := file.read(1 << 24):
                if b"\0" in part:
                    raise ValueError(f"{path.name} is no text")
                decoder.decode(part)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"
