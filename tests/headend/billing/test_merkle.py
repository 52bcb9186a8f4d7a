"""Known answers: Certificate Transparency's own tests, python/ct/crypto/merkle_test.py and its C++ twin."""

import tracemalloc
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headend.billing.merkle import (
    NotInTreeError,
    Tree,
    leaf_hash,
    leaf_hashes,
    path_of,
    root_from,
    root_of,
)

CT_LEAVES = [
    leaf_hash(bytes.fromhex(content))
    for content in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_PATHS = [
    (0, 1, []),
    (
        *(0, 8),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        *(5, 8),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        *(1, 5),
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def some_leaves(count):
    return [leaf_hash(number.to_bytes(4)) for number in range(count)]


def by_definition(leaves):
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size):
    assert root_of(CT_LEAVES[:size]).hex() == CT_ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), CT_PATHS)
def test_paths_are_those_of_certificate_transparency_and_lead_to_its_roots(index, size, path):
    made = path_of(index, size, CT_LEAVES[:size])
    assert [node.hex() for node in made] == path
    assert root_from(CT_LEAVES[index], index, size, made).hex() == CT_ROOTS[size]


@given(st.lists(st.integers(0, 700), max_size=6))
def test_a_tree_is_the_same_in_whatever_pieces_it_grows(pieces):
    leaves, tree = some_leaves(sum(pieces)), Tree()
    for size in pieces:
        tree.add(leaves[tree.size : tree.size + size])
    assert (tree.size, tree.root()) == (len(leaves), by_definition(leaves))


@given(st.integers(1, 600), st.data())
def test_each_leaf_is_proven_by_its_path_and_by_no_other_place_or_leaf(size, draw):
    index = draw.draw(st.integers(0, size - 1))
    leaves = some_leaves(size)
    path, root = path_of(index, size, iter(leaves)), by_definition(leaves)
    assert root_from(leaves[index], index, size, path) == root
    assert root_from(leaf_hash(b"another"), index, size, path) != root
    other = draw.draw(st.integers(0, size - 1).filter(lambda place: place != index)) if size > 1 else None
    if other is not None:
        with suppress(NotInTreeError):
            assert root_from(leaves[index], other, size, path) != root


@given(st.integers(2, 300), st.data())
def test_a_path_that_is_too_short_too_long_or_changed_proves_nothing(size, draw):
    index = draw.draw(st.integers(0, size - 1))
    leaves = some_leaves(size)
    path, root = path_of(index, size, leaves), by_definition(leaves)
    with pytest.raises(NotInTreeError, match="too short"):
        root_from(leaves[index], index, size, path[:-1])
    with pytest.raises(NotInTreeError, match="too long"):
        root_from(leaves[index], index, size, [*path, path[-1]])
    at = draw.draw(st.integers(0, len(path) - 1))
    assert root_from(leaves[index], index, size, [*path[:at], leaf_hash(b"x"), *path[at + 1 :]]) != root


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 0)])
def test_a_place_that_is_not_in_the_tree_is_refused(index, size):
    with pytest.raises(NotInTreeError):
        path_of(index, size, some_leaves(size))
    with pytest.raises(NotInTreeError):
        root_from(leaf_hash(b""), index, size, [])


@pytest.mark.parametrize("index", [0, 2, 3])
def test_a_path_over_fewer_leaves_than_were_promised_is_refused(index):
    with pytest.raises(NotInTreeError, match="fewer"):
        path_of(index, 5, some_leaves(4))


def test_leaves_of_one_size_hashed_together_are_hashed_as_alone():
    contents = [bytes([number]) * 32 for number in range(5)]
    assert leaf_hashes(b"".join(contents)) == [leaf_hash(content) for content in contents]


def test_root_and_path_of_many_leaves_take_next_to_no_memory():
    def leaves():
        return (leaf_hash(number.to_bytes(4)) for number in range(60_000))

    tracemalloc.start()
    path = path_of(31_337, 60_000, leaves())
    root = root_of(leaves())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert root_from(leaf_hash((31_337).to_bytes(4)), 31_337, 60_000, path) == root
    assert peak < 200_000
