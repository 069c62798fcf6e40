"""Your code: ingest, features, train. The machinery is in `production`."""
