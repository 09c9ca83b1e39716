"""Exceptions whose module the test's clients allow (allowed_remote_exmods)."""


class OutOfStock(Exception):
    pass


class NoSpace(Exception):
    """Takes keyword arguments and keeps them, as the exceptions of OpenStack services do."""

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        super().__init__(message or 'no space for %(sku)s on %(shelf)s' % kwargs)
