"""Keys and what is done with them: identity, device records, Olm sessions, call keys, media frames, stored fields.

Read `handshake.py` for what makes a call private, `sframe.py` for what carries it. Chance and time are arguments
everywhere except inside vodozemac, which draws its own randomness: no decision rests on ciphertext bytes.
"""
