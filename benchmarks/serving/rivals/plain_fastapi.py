"""FastAPI as its documentation shows it: pydantic in, a dict out."""

from typing import Any

from fastapi import FastAPI
from model import answer, row_model

Row = row_model()
app = FastAPI()


@app.post("/predict")
async def predict(row: Row) -> dict[str, Any]:
    return answer([row.model_dump()])[0]


@app.post("/batch")
async def batch(rows: list[Row]) -> dict[str, Any]:
    return {"predictions": answer([row.model_dump() for row in rows])}
