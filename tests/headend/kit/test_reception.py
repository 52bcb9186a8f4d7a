"""The worker's reception: real threads and a real event loop; what is held waits for an event."""

import asyncio
import threading
from collections.abc import Awaitable

import msgspec

from headend.kit.admission import Admission, Urgency
from headend.kit.hatches import Hatch
from headend.kit.http import MOST_READ, MalformedError
from headend.kit.reception import Reception
from headend.kit.storage import StorageError

HATCH = "/hatch"
BOUNDS = {Urgency.READS: 2, Urgency.TOKENS: 3, Urgency.FRAGMENTS: 4, Urgency.ORDERS: 5}
LONG = 30


def urgency_of(path):
    return {"/reads": Urgency.READS, "/tokens": Urgency.TOKENS, HATCH: Urgency.ORDERS}.get(path)


class Asked:
    """One request as granian would hand it over, and what was answered."""

    scheme, client, server, http_version = "http", "127.0.0.1:4711", "127.0.0.1:8080", "1.1"

    def __init__(self, method, path, body=b"", *, query_string="", **headers):
        self.method, self.path, self.query_string, self.body = method, path, query_string, body
        told = {"content_length": str(len(body)), **headers} if body else headers
        self.headers = {name.replace("_", "-"): value for name, value in told.items() if value is not None}
        self.reads, self.pieces, self.gone = 0, [], False
        self.status, self.fields, self.answer = 0, {}, b""

    def __call__(self) -> Awaitable[bytes]:
        async def body():
            self.reads += 1
            return self.body

        return body()

    def response_bytes(self, status, headers, body):
        self.status, self.fields, self.answer = status, dict(headers), body

    def response_stream(self, status, headers):
        self.status, self.fields = status, dict(headers)
        return self

    async def send_bytes(self, piece):
        if self.gone:
            raise RuntimeError("closed")
        self.pieces.append(piece)

    @property
    def problem(self):
        return msgspec.json.decode(self.answer)["type"].rpartition(":")[2]


class World:
    """A reception over a WSGI application that says what it was asked, and a hatch that can be held shut."""

    def __init__(self, app=None):
        self.groups, self.counted, self.environs = [], [], []
        self.held, self.begun = threading.Event(), threading.Event()
        self.held.set()
        self.admission = Admission(BOUNDS)
        hatch = Hatch("application/json", 100, "text/plain", 10, self.answer_all, self.counted.append)
        self.reception = Reception(app or self.app, {HATCH: hatch}, self.admission, urgency_of)

    def app(self, environ, start_response):
        self.environs.append(environ)
        self.begun.set()
        assert self.held.wait(LONG)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"flask"]

    def answer_all(self, bodies):
        self.groups.append(bodies)
        self.begun.set()
        assert self.held.wait(LONG)
        answers = {b"bad": MalformedError(), b"broken": StorageError("full")}
        if b"worse" in bodies:
            raise RuntimeError("worse")
        return [answers.get(body, b"took " + body) for body in bodies]

    def play(self, work):
        async def run():
            loop = asyncio.get_running_loop()
            self.reception.__rsgi_init__(loop)
            await work(loop)
            self.reception.__rsgi_del__(loop)

        asyncio.run(run())

    def ask(self, *requests):
        async def work(_loop):
            await asyncio.gather(*(self.reception.__rsgi__(one, one) for one in requests))

        self.play(work)
        return list(requests)


def post(body=b"x", path=HATCH, **headers):
    return Asked("POST", path, body, **({"content_type": "application/json"} | headers))


def begin(world, loop, *requests):
    return [loop.create_task(world.reception.__rsgi__(one, one)) for one in requests]


async def until(loop, event):
    assert await loop.run_in_executor(None, event.wait, LONG)


def test_what_waits_at_a_hatch_is_answered_together_and_each_gets_its_own():
    world, first = World(), post(b"0")
    others = [post(b"%d" % n) for n in range(1, 5)]

    async def work(loop):
        world.held.clear()
        waiting = begin(world, loop, first)
        await until(loop, world.begun)
        waiting += begin(world, loop, *others)
        await asyncio.sleep(0)
        world.held.set()
        await asyncio.gather(*waiting)

    world.play(work)
    assert world.groups == [[b"0"], [b"1", b"2", b"3", b"4"]]
    assert [one.answer for one in others] == [b"took 1", b"took 2", b"took 3", b"took 4"]


def test_a_refusal_at_a_hatch_is_told_counted_and_its_own_alone():
    world = World()
    good, bad, broken = world.ask(post(b"good"), post(b"bad"), post(b"broken"))
    assert (good.status, good.answer) == (200, b"took good")
    assert (bad.status, bad.problem) == (400, "malformed")
    assert (broken.status, broken.problem) == (503, "storage")
    assert world.counted == ["malformed"]


def test_a_hatch_that_breaks_answers_all_who_wait_and_goes_on():
    world = World()
    assert [one.status for one in world.ask(post(b"worse"), post(b"good"))] == [503, 503]
    assert World().ask(post(b"good"))[0].status == 200


def test_what_is_not_the_plain_case_goes_to_flask():
    world = World()
    odd = [
        Asked("GET", HATCH),
        post(content_type="text/plain"),
        post(b"x" * 101),
        post(content_length=None, transfer_encoding="chunked"),
    ]
    assert [one.answer for one in world.ask(*odd)] == [b"flask"] * 4
    assert world.groups == []


def test_reads_are_refused_first_then_tokens_and_operators_never_while_work_is_held():
    world, refused, stood = World(), {}, []

    async def work(loop):
        world.held.clear()
        waiting = begin(world, loop, post(b"0"))
        await until(loop, world.begun)
        for n in range(1, 6):
            waiting += begin(world, loop, post(b"%d" % n))
            await asyncio.sleep(0)
            for path in ("/reads", "/tokens"):
                if path not in refused:
                    one = Asked("GET", path)
                    begun = begin(world, loop, one)
                    await asyncio.sleep(0)
                    if one.status:
                        refused[path] = (n, one)
                    else:
                        begun[0].cancel()
        sixth = post(b"6")
        await world.reception.__rsgi__(sixth, sixth)
        refused[HATCH] = (6, sixth)
        world.begun.clear()
        page = Asked("GET", "/console/")
        waiting += begin(world, loop, page)
        await until(loop, world.begun)  # it is worked on, although nothing of the boxes' is let in
        stood.append(page)
        world.held.set()
        await asyncio.gather(*waiting, return_exceptions=True)

    world.play(work)
    assert refused["/reads"][0] < refused["/tokens"][0] < refused[HATCH][0]
    for _, one in refused.values():
        assert (one.status, one.problem, one.fields["retry-after"]) == (503, "busy", "30")
        assert one.reads == bool(one.body), "an answer to what is not read may be cut off with it"
    assert stood[0].answer == b"flask"
    assert all(b"6" not in group for group in world.groups), "what is refused changes nothing"
    assert world.admission.refused()[Urgency.READS] == 1


def test_flask_is_told_the_request_as_wsgi_wants_it():
    world = World()
    world.ask(
        Asked("POST", "/console/Liège", b"a=1", query_string="q=%C3%A9", host="h", cookie="c=1", x_a="é")
    )
    (environ,) = world.environs
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/console/Liège"
    assert (environ["QUERY_STRING"], environ["HTTP_HOST"], environ["HTTP_COOKIE"]) == ("q=%C3%A9", "h", "c=1")
    assert (environ["CONTENT_LENGTH"], environ["wsgi.input"].read()) == ("3", b"a=1")
    assert (environ["REMOTE_ADDR"], environ["SERVER_PORT"]) == ("127.0.0.1", "8080")


def test_more_than_is_read_is_left_to_flask_unread():
    world = World()
    (asked,) = world.ask(Asked("POST", "/console/", b"x", content_length=str(MOST_READ + 1)))
    assert asked.reads == 0
    assert world.environs[0]["CONTENT_LENGTH"] == str(MOST_READ + 1)


class Long:
    """An answer in pieces that tells whether it was closed."""

    def __init__(self, count):
        self.count, self.given, self.closed = count, 0, False

    def __iter__(self):
        for n in range(self.count):
            self.given += 1
            yield b"%d" % n

    def close(self):
        self.closed = True

    def app(self, _environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self


def test_a_long_answer_goes_piece_by_piece_and_is_closed():
    long = Long(4)
    (asked,) = World(long.app).ask(Asked("GET", "/console/file"))
    assert (asked.status, asked.pieces) == (200, [b"0", b"1", b"2", b"3"])
    assert long.closed


def test_a_long_answer_that_nobody_takes_ends_and_is_closed():
    long, asked = Long(1000), Asked("GET", "/console/file")
    asked.gone = True
    World(long.app).ask(asked)
    assert long.given < 5
    assert long.closed
