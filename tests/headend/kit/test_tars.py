import io
import tarfile
import tracemalloc

from headend.kit.tars import tarred

MEMBERS = [("a.xml", b"one"), ("b.xml", b""), ("c.xml", b"x" * 512), ("d.xml", b"y" * 513)]


def opened(pieces):
    return tarfile.open(fileobj=io.BytesIO(b"".join(pieces)))


def test_the_standard_library_reads_what_was_written_in_order():
    with opened(tarred(MEMBERS)) as found:
        assert [(one.name, found.extractfile(one).read()) for one in found] == MEMBERS


def test_the_same_members_give_the_same_bytes_that_tell_of_nobody_and_no_moment():
    assert b"".join(tarred(MEMBERS)) == b"".join(tarred(iter(MEMBERS)))
    with opened(tarred(MEMBERS)) as found:
        assert {(one.mtime, one.uid, one.gid, one.uname, one.mode) for one in found} == {(0, 0, 0, "", 0o644)}


def test_no_members_are_an_archive_too():
    with opened(tarred([])) as found:
        assert found.getmembers() == []


def test_memory_does_not_grow_with_the_members():
    tracemalloc.start()
    for _ in tarred((f"{number:06}.xml", b"x" * 500) for number in range(50_000)):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000
