"""
Which codecs there are: by number in stored bytes, by name in settings.

A number once given is never given to another codec: stored bytes outlive the
version that wrote them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from yokedcache.codec import frame
from yokedcache.codec.compression import compress, decompress
from yokedcache.codec.msgpack import MessagePackCodec
from yokedcache.errors import PayloadError, SettingsError, ValueNotStorableError

if TYPE_CHECKING:
    from yokedcache.codec import Codec

FIRST_OF_APPS: Final = 128
"""Numbers from here to 255 are for codecs of apps."""

DEFAULT: Final[Codec] = MessagePackCodec()

_by_number: Final[dict[int, Codec]] = {1: DEFAULT}
_numbers: Final[dict[str, int]] = {DEFAULT.name: 1}


def register_codec(number: int, codec: Codec) -> None:
    """
    Make a codec known under a number from 128 to 255 and under its name.
    """
    if not FIRST_OF_APPS <= number <= 255:  # noqa: PLR2004  (one byte)
        message = f"codec number {number}: codecs of apps take numbers from 128 to 255"
        raise SettingsError(message, number=number)
    if number in _by_number or codec.name in _numbers:
        message = f"codec number {number} or name {codec.name!r} is taken"
        raise SettingsError(message, number=number, name=codec.name)
    _by_number[number] = codec
    _numbers[codec.name] = number


def codec_named(name: str) -> Codec:
    """
    Give the codec of a name that stands in settings.
    """
    number = _numbers.get(name)
    if number is None:
        known = ", ".join(sorted(_numbers))
        message = f"there is no codec {name!r}; known are: {known}"
        raise SettingsError(message, name=name)
    return _by_number[number]


def dump(value: object, *, codec: Codec = DEFAULT) -> bytes:
    """
    Encode a value and wrap it for a store, compressed if it is large.

    Raises:
        ValueNotStorableError: it has no exact form as bytes, or, with a `size`, so many
            of them that no reader would take it.
    """
    number = _numbers.get(codec.name)
    if number is None:
        message = f"codec {codec.name!r} isn't registered; see `register_codec`"
        raise SettingsError(message, name=codec.name)
    plain = codec.encode(value)
    size = len(plain)
    if size > frame.LARGEST:  # before it is compressed: readers count it like this, too
        message = (
            f"result takes {size} bytes, and nobody reads more than {frame.LARGEST}"
        )
        raise ValueNotStorableError(message, size=size)
    small = compress(plain)
    if small is None:
        return frame.pack(plain, codec=number)
    return frame.pack(small, codec=number, flags=frame.COMPRESSED)


def load(data: bytes, *, limit: int = frame.LARGEST) -> object:
    """
    Unwrap what a store gave and decode it, or raise `PayloadError`.
    """
    found = frame.unpack(data, limit=limit)
    codec = _by_number.get(found.codec)
    if codec is None or found.flags & ~frame.COMPRESSED:
        message = f"nothing here reads codec {found.codec} with flags {found.flags:#x}"
        raise PayloadError(message, codec=found.codec, flags=found.flags)
    if found.flags & frame.COMPRESSED:
        return codec.decode(decompress(found.payload, limit))
    return codec.decode(found.payload)
