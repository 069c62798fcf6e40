"""Ray Serve as its documentation shows it: a deployment with a FastAPI ingress, one replica."""

import signal
import sys
from typing import Any

import ray
from fastapi import FastAPI
from model import answer, row_model
from ray import serve

Row = row_model()
app = FastAPI()


@serve.deployment(num_replicas=1)
@serve.ingress(app)
class Flights:
    @app.post("/predict")
    async def predict(self, row: Row) -> dict[str, Any]:
        return answer([row.model_dump()])[0]

    @app.post("/batch")
    async def batch(self, rows: list[Row]) -> dict[str, Any]:
        return {"predictions": answer([row.model_dump() for row in rows])}


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Flights.bind())
    signal.pause()
