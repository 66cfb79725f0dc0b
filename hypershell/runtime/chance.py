"""Random numbers, for everything but keys: see `clock` for why they are reached through here.

Keys, salts and the names of files that hold them come from `secrets` itself, in `access`: what
protects something must stay unpredictable in a simulation too.
"""

import random
import secrets

uniform = random.uniform
"""A number between two others."""

token_hex = secrets.token_hex
"""A name that nobody else has, of some random bytes in hexadecimal."""
