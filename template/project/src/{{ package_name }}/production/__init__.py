"""The machinery around your model: every stage after your three files."""

import os

# The threads of one computation wait asleep: where they spin, beside a busy service, texts take five times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
