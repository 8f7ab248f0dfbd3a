"""Damage to files."""


def flipped(content: bytes, place: int) -> bytes:
    """Content with one bit of a byte flipped, at a place in per cent of it; the head is 0."""
    damaged = bytearray(content)
    damaged[min(len(content) - 1, 8 + len(content) * place // 100)] ^= 0x10
    return bytes(damaged)
