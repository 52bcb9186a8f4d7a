from random import Random


def seeded(number: int) -> Random:
    return Random(number)  # noqa: S311 (a test that can be repeated)
