"""Exceptions whose module no client allows."""


class LedgerBroken(Exception):
    pass
