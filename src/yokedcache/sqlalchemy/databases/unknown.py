"""
The signals that something of a database can't be learnt.
"""

from __future__ import annotations


class IdentityUnknown(Exception):  # noqa: N818 - a signal to the caller, not an error
    """
    The database doesn't say who it is; the caller needs `database_id` or bypasses.
    """


class CatalogueUnknown(Exception):  # noqa: N818 - a signal to the caller, not an error
    """
    The catalogue can't be had; the engine is bypassed as 'catalogue_unknown'.
    """
