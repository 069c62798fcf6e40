"""The floor: an ASGI function under uvicorn, the model in the process, no check of anything."""

import json
from datetime import datetime
from typing import Any

from model import CONTRACT, answer


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    sent = json.loads(body)
    rows = sent if isinstance(sent, list) else [sent]
    for row in rows:
        row[CONTRACT.time] = datetime.fromisoformat(row[CONTRACT.time])
    said = answer(rows)
    data = json.dumps({"predictions": said} if isinstance(sent, list) else said[0]).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})
