"""Recompute a prediction from the log with the release that gave it: `make replay ID=...`."""

import json
import tempfile
from pathlib import Path

import polars as pl

from . import config, releases, segments, watch


def replay(id: str) -> None:
    """Print a logged prediction, its features and contributions; refuse if they are not the same to the bit."""
    told = segments.read({"id": pl.String, "release": pl.String, "fallback": pl.Boolean})
    told = told.drop_nulls("release").filter(pl.col("id") == id)
    if told.is_empty():
        way_out = "give the request_id of an answer, for a row of a list with its number: ID=request_id:0"
        raise config.Problem(f"replay: no prediction {id} is in run/*/predictions-*; {way_out}")
    release, fallback = told["release"][0], told["fallback"][0]
    if fallback:
        raise config.Problem(f"replay: {id} was answered by the fallback of release {release}, not by its model")
    root = releases.source(release)
    releases.verify(root)
    rows, said, _ = watch.read_log(config.contract(root))
    mine = said["id"] == id
    with tempfile.TemporaryDirectory() as folder:
        rows.filter(mine).write_parquet(path := Path(folder, "rows.parquet"))
        again = json.loads(releases.ask(release, "-m", str(__package__), "again", str(path)))
    was = said.filter(mine)["prediction"].to_list()
    for name, values in again["features"].items():
        print(f"replay: {name:24} {values[0]}")
    print(f"replay: contributions {json.dumps(again['contributions'][0], ensure_ascii=False)}")
    if again["predictions"] != was:
        what = f"release {release} answers {again['predictions'][0]} now, and {was[0]} was logged"
        raise config.Problem(f"replay: {id}: {what}; was its environment changed? See constraints.txt")
    print(f"replay: prediction {was[0]}, the same to the bit, from release {release}")
