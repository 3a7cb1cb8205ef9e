"""The check sums of crypto addresses: Base58Check, Bech32 and EIP-55."""

from __future__ import annotations

from hashlib import sha256

_BASE58 = {
    character: index for index, character in enumerate(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
_BECH32 = {character: index for index, character in enumerate(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CONSTANTS = (1, 0x2BC830A3)
_MASK = (1 << 64) - 1


def base58(value: bytes) -> bytes | None:
    """The bytes that a Base58 text stands for, or None if it is none."""
    number = 0
    try:
        for character in value:
            number = number * 58 + _BASE58[character]
    except KeyError:
        return None
    zeros = len(value) - len(value.lstrip(b"1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def base58check(value: bytes) -> bytes | None:
    """The payload (version and content) of a Base58 text whose last four bytes check it, or None."""
    decoded = base58(value)
    if decoded is None or len(decoded) < 5 or sha256(sha256(decoded[:-4]).digest()).digest()[:4] != decoded[-4:]:
        return None
    return decoded[:-4]


def bech32(value: bytes) -> bool:
    """Whether a lower-case text is right by BIP 173 or BIP 350."""
    prefix, _, payload = value.rpartition(b"1")
    numbers = [character >> 5 for character in prefix] + [0] + [character & 31 for character in prefix]
    try:
        numbers += [_BECH32[character] for character in payload]
    except KeyError:
        return False
    checksum = 1
    for number in numbers:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ number
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                checksum ^= generator
    return checksum in _BECH32_CONSTANTS


def eip55(digits: bytes) -> bool:
    """Whether the case of an Ethereum address's 40 hexadecimal digits is right; one case alone says nothing and is."""
    lower = digits.lower()
    if digits in (lower, digits.upper()):
        return True
    nibbles = keccak256(lower).hex()
    return all(
        digit == (digit & ~32 if nibble >= "8" else digit | 32)
        for digit, nibble in zip(digits, nibbles, strict=False)
        if digit > 64
    )


def _constants() -> tuple[list[int], list[tuple[int, int]]]:
    """The round constants, and for each lane in the order of its walk where it goes and by how much it turns."""
    rounds, register = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << ((1 << power) - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        rounds.append(constant)
    walk, x, y = [], 1, 0
    for step in range(24):
        x, y = y, (2 * x + 3 * y) % 5
        walk.append((x + 5 * y, (step + 1) * (step + 2) // 2 % 64))
    return rounds, walk


_ROUNDS, _WALK = _constants()


def keccak256(data: bytes) -> bytes:
    """Keccak-256 with the padding that Ethereum uses (hashlib's SHA-3 pads otherwise), for up to 135 bytes."""
    block = data + b"\x01" + bytes(135 - len(data))
    block = block[:135] + bytes([block[135] | 0x80])
    lanes = [int.from_bytes(block[8 * lane : 8 * lane + 8], "little") for lane in range(17)] + [0] * 8
    for constant in _ROUNDS:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        for x in range(5):
            after = columns[(x + 1) % 5]
            mixed = columns[x - 1] ^ (after << 1 & _MASK | after >> 63)
            for lane in range(x, 25, 5):
                lanes[lane] ^= mixed
        carried = lanes[1]
        for lane, turn in _WALK:
            carried, lanes[lane] = lanes[lane], (carried << turn | carried >> 64 - turn) & _MASK
        for y in range(0, 25, 5):
            row = lanes[y : y + 5]
            for x in range(5):
                lanes[y + x] = row[x] ^ ~row[(x + 1) % 5] & _MASK & row[(x + 2) % 5]
        lanes[0] ^= constant
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])
