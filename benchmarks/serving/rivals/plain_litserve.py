"""LitServe as its documentation shows it: decode, predict, encode."""

import sys
from typing import Any

import litserve
from pydantic import TypeAdapter


class Flights(litserve.LitAPI):
    def setup(self, device: str) -> None:
        from model import answer, row_model

        self.answer, row = answer, row_model()
        self.one, self.many = TypeAdapter(row), TypeAdapter(list[row])

    def decode_request(self, request):  # a type here would be taken for the body's
        if isinstance(request, list):
            return self.many.validate_python(request)
        return self.one.validate_python(request)

    def predict(self, sent: Any) -> Any:
        many = isinstance(sent, list)
        said = self.answer([row.model_dump() for row in (sent if many else [sent])])
        return {"predictions": said} if many else said[0]

    def encode_response(self, output: Any) -> Any:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Flights(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
