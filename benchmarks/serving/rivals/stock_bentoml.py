"""BentoML as its documentation shows it: a service class with typed methods."""

from typing import Any

import bentoml
from model import answer, row_model

Row = row_model()


@bentoml.service
class Flights:
    @bentoml.api
    def predict(self, row: Row, /) -> dict[str, Any]:
        return answer([row.model_dump()])[0]

    @bentoml.api
    def batch(self, rows: list[Row], /) -> dict[str, Any]:
        return {"predictions": answer([row.model_dump() for row in rows])}
