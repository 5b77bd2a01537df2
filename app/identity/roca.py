"""Detection of moduli from the ROCA generator (CVE-2017-15361), whose prime factors can be computed.

Its primes have the form k * M + (65537^a mod M), where M is the product of the first primes. Modulo any prime factor of
M, such a modulus is a power of 65537 (Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, sections 2 and 3).
"""

from __future__ import annotations

_GENERATOR = 65537
_LAST_PRIME = 701  # of M for keys of 2048 bits; longer keys have more primes in M


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _powers(prime: int) -> frozenset[int]:
    powers, power = {1}, _GENERATOR % prime
    while power not in powers:
        powers.add(power)
        power = power * _GENERATOR % prime
    return frozenset(powers)


# A prime of which 65537 generates all remainders tells nothing.
_POWERS = {
    prime: powers
    for prime in range(3, _LAST_PRIME + 1)
    if _is_prime(prime) and len(powers := _powers(prime)) < prime - 1
}


def is_roca_modulus(modulus: int) -> bool:
    """Whether a modulus of at least 2048 bits has this form. Another modulus has it with probability 2^-167."""
    return all(modulus % prime in powers for prime, powers in _POWERS.items())
