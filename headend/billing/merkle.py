"""The Merkle tree of RFC 6962 section 2.1 over SHA-256: a root, a path to one leaf, and the check of a path.

Leaves stream by: memory grows with the tree's height, never with its size. Pure.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice

from shared.errors import StbError

Hash = bytes
HASH_BYTES = 32
_LEAF_PREFIX = b"\x00"
_NODE_PREFIX = b"\x01"
_LEAF, _NODE = hashlib.sha256(_LEAF_PREFIX), hashlib.sha256(_NODE_PREFIX)
_AT_A_TIME = 256
"""Leaves that are hashed together; a power of two, so that they are whole subtrees."""


class NotInTreeError(StbError):
    """A leaf does not stand where its path says, or there is no such place in the tree."""


def leaf_hash(content: bytes) -> Hash:
    """The hash of one leaf."""
    return hashlib.sha256(_LEAF_PREFIX + content).digest()


def leaf_hashes(contents: bytes) -> list[Hash]:
    """The hashes of leaves of 32 bytes each, which stand one after the other in `contents`."""
    return _each(_LEAF, contents, HASH_BYTES)


def _each(begun: "hashlib._Hash", pieces: bytes, size: int) -> list[Hash]:
    """The hashes of pieces of one size after what `begun` was fed; a copy costs less than a beginning."""
    hashes = []
    for at in range(0, len(pieces), size):
        one = begun.copy()
        one.update(pieces[at : at + size])
        hashes.append(one.digest())
    return hashes


def _node_hash(left: Hash, right: Hash) -> Hash:
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


def _whole_subtree(leaves: Sequence[Hash]) -> Hash:
    """The root over a power of two of leaves, level by level."""
    level = leaves
    while len(level) > 1:
        level = _each(_NODE, b"".join(level), 2 * HASH_BYTES)
    return level[0]


class Tree:
    """A tree that grows to the right; `size` is how many leaves it has.

    It remembers the roots of its largest whole subtrees only: one for each bit that is set in its size.
    """

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, Hash]] = []

    def add(self, leaves: Sequence[Hash]) -> None:
        """Append leaf hashes, in order."""
        start = 0
        while start < len(leaves):
            # The largest whole subtree that may stand here, and for which there are leaves.
            fits = 1 << ((len(leaves) - start).bit_length() - 1)
            width = min(fits, self.size & -self.size) if self.size else fits
            self._append(width, _whole_subtree(leaves[start : start + width]))
            start += width

    def _append(self, width: int, root: Hash) -> None:
        self.size += width
        while self._peaks and self._peaks[-1][0] == width:
            _, left = self._peaks.pop()
            width, root = 2 * width, _node_hash(left, root)
        self._peaks.append((width, root))

    def root(self) -> Hash:
        """The root over all leaves so far; of none, the hash of nothing."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        roots = [root for _, root in self._peaks]
        joined = roots.pop()
        while roots:
            joined = _node_hash(roots.pop(), joined)
        return joined


def root_of(leaves: Iterable[Hash]) -> Hash:
    """The root over leaf hashes as they come; of none, the hash of nothing."""
    return _grown(leaves).root()


def _grown(leaves: Iterable[Hash]) -> Tree:
    tree, stream = Tree(), iter(leaves)
    while some := list(islice(stream, _AT_A_TIME)):
        tree.add(some)
    return tree


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """The half-open ranges of leaves whose roots are a leaf's path, from the leaf up (RFC 6962, 2.1.1)."""
    ranges, start = [], 0
    while size > 1:
        left = 1 << ((size - 1).bit_length() - 1)
        if index < left:
            ranges.append((start + left, start + size))
            size = left
        else:
            ranges.append((start, start + left))
            start, index, size = start + left, index - left, size - left
    return ranges[::-1]


def path_of(index: int, size: int, leaves: Iterable[Hash]) -> list[Hash]:
    """The audit path of leaf `index` (from 0) in the tree of these `size` leaf hashes, from the leaf up.

    Raises:
        NotInTreeError: there is no such leaf, or there are not `size` leaves.
    """
    if not 0 <= index < size:
        raise NotInTreeError(f"a tree of {size} leaves has no leaf {index}")
    stream, ranges = iter(leaves), _siblings(index, size)
    roots: dict[int, Hash] = {}
    for first, end in sorted([*ranges, (index, index + 1)]):
        subtree = _grown(islice(stream, end - first))
        if subtree.size != end - first:
            raise NotInTreeError(f"there are fewer than {size} leaves")
        roots[first] = subtree.root()
    return [roots[first] for first, _ in ranges]


def root_from(leaf: Hash, index: int, size: int, path: Iterable[Hash]) -> Hash:
    """The root that a leaf hash and its audit path lead to (RFC 9162 section 2.1.3.2, steps 1 to 4).

    Whoever has the tree's root compares the two.

    Raises:
        NotInTreeError: there is no such leaf in a tree of that size, or the path is too long or too short.
    """
    if not 0 <= index < size:
        raise NotInTreeError(f"a tree of {size} leaves has no leaf {index}")
    place, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise NotInTreeError("the path is too long")
        if place & 1 or place == last:
            root = _node_hash(sibling, root)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            root = _node_hash(root, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise NotInTreeError("the path is too short")
    return root
