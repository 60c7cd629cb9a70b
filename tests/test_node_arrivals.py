"""Which series are on their way, by a clock that the test turns."""

from itermask.node.arrivals import Arrivals


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Line:
    alive = True

    def is_alive(self):
        return self.alive


def test_silence_begins_with_the_last_image_or_the_end_of_its_connection():
    clock = Clock()
    arrivals, line = Arrivals(clock), Line()
    clock.now = 110.0
    assert arrivals.silence("1.2") == 10.0, "of what came before a restart nothing is known"
    arrivals.brings(line, "1.2")
    assert arrivals.sending("1.2")
    clock.now = 113.0
    assert arrivals.silence("1.2") == 3.0
    arrivals.has_brought(line, "1.2", True)
    assert arrivals.silence("1.2") == 0.0
    clock.now = 115.0
    brought = arrivals.ended(line)
    assert (brought.new, brought.series) == ({"1.2": 1}, {"1.2"})
    assert arrivals.silence("1.2") == 0.0
    assert not arrivals.sending("1.2")
    clock.now = 120.0
    arrivals.forget("1.2")
    assert arrivals.silence("1.2") == 20.0


def test_connections_are_counted_apart():
    arrivals, one, other = Arrivals(Clock()), Line(), Line()
    arrivals.has_brought(one, "1.2", True)
    arrivals.has_brought(other, "1.2", False)
    arrivals.has_brought(other, "1.3", True)
    arrivals.ended(one)
    assert arrivals.sending("1.2")
    assert arrivals.peek(other).known == {"1.2": 1}
    assert arrivals.peek(one).series == set()
    arrivals.ended(other)
    assert not arrivals.sending("1.2")


def test_refused_images_spoil_their_series_or_all():
    arrivals, line = Arrivals(Clock()), Line()
    arrivals.has_brought(line, "1.2", True)
    arrivals.spoil(line, "1.3")
    assert arrivals.peek(line).spoiled == {"1.3"}
    arrivals.spoil(line, None)
    assert arrivals.peek(line).spoiled == {"1.2", "1.3"}


def test_dead_connections_are_found():
    arrivals, line = Arrivals(Clock()), Line()
    arrivals.brings(line, "1.2")
    assert arrivals.dead() == []
    line.alive = False
    assert arrivals.dead() == [line]
    arrivals.ended(line)
    assert arrivals.dead() == []
