"""Which moduli have the form of the ROCA generator, prime by prime."""

from __future__ import annotations

import math
import random
from functools import cache

import pytest

from app.identity.roca import is_roca_modulus

SEEDED = random.Random(3)
PRIMES = [number for number in range(2, 720) if all(number % divisor for divisor in range(2, number))]
KNOWN = [prime for prime in PRIMES if prime <= 701]
PRODUCT = math.prod(KNOWN)


@cache
def powers_modulo(prime: int) -> frozenset[int]:
    return frozenset(pow(65537, exponent, prime) for exponent in range(prime))


def modulus(instead: dict[int, int] | None = None) -> int:
    """A modulus that is a power of 65537 modulo every prime up to 701, with other remainders where they are given."""
    number = pow(65537, SEEDED.getrandbits(256), PRODUCT)
    for prime, remainder in (instead or {}).items():
        others = PRODUCT // prime
        number += others * ((remainder - number) * pow(others, -1, prime) % prime)
    return number % PRODUCT + PRODUCT * SEEDED.getrandbits(2048 - PRODUCT.bit_length())


def test_a_modulus_of_the_roca_form_is_found() -> None:
    assert all(is_roca_modulus(modulus()) for _ in range(200))


@pytest.mark.parametrize("prime", [prime for prime in KNOWN if len(powers_modulo(prime)) < prime - 1])
def test_a_modulus_that_is_no_power_modulo_one_prime_is_not_of_that_form(prime: int) -> None:
    powers = powers_modulo(prime)
    for remainder in (0, SEEDED.choice([each for each in range(1, prime) if each not in powers])):
        assert not is_roca_modulus(modulus({prime: remainder}))
    assert is_roca_modulus(modulus({prime: SEEDED.choice(sorted(powers))}))


def test_primes_with_65537_as_a_generator_are_not_used() -> None:
    silent = [prime for prime in KNOWN if len(powers_modulo(prime)) == prime - 1]
    assert silent
    for prime in silent:
        assert is_roca_modulus(modulus({prime: 0}))
