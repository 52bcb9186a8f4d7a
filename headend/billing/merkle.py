"""The Merkle tree hash of RFC 6962 section 2.1, over SHA-256: one root for a batch of entries."""

import hashlib
from collections.abc import Sequence

_LEAF_PREFIX = b"\x00"
_NODE_PREFIX = b"\x01"
Hash = bytes


def leaf_hash(entry: bytes) -> Hash:
    """The hash of one leaf."""
    return hashlib.sha256(_LEAF_PREFIX + entry).digest()


def _node_hash(left: Hash, right: Hash) -> Hash:
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


def root_of(leaves: Sequence[Hash]) -> Hash:
    """The tree's root; of no leaves, the hash of nothing.

    Folding neighbours level by level, an odd last one moving up as it is, builds RFC 6962's tree.
    """
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        pairs = [_node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0]
