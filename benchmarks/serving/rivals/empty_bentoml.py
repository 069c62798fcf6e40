"""A BentoML service that does nothing: what starting one takes at least."""

import bentoml


@bentoml.service(
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Empty:
    @bentoml.api
    def predict(self) -> dict[str, float]:
        return {"probability": 0.5}
