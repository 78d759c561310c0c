"""What goes wrong in a shop."""

from __future__ import annotations


class ShopError(Exception):
    """Something that the shop cannot do."""


class OutOfStock(ShopError):
    """There is not enough of an item."""


class GatewayBusy(ShopError):
    """The payment gateway asks to come back later."""


class CardDeclined(ShopError):
    """The bank said no."""
