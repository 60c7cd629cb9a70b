"""Which series are on their way, by a clock that the test turns."""

from itermask.apps.node.arrivals import Arrivals


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


def test_an_unreadable_image_spoils_what_comes_after_it_too():
    arrivals, line = Arrivals(Clock()), Line()
    arrivals.spoil(line, None)
    arrivals.has_brought(line, "1.2", True)
    assert arrivals.peek(line).spoiled == {"1.2"}


def bring(arrivals, clock, line, at):
    clock.now = at
    arrivals.brings(line, "1.2")


def test_one_of_two_connections_side_by_side_does_not_speak_for_both():
    clock = Clock()
    arrivals, one, other = Arrivals(clock), Line(), Line()
    bring(arrivals, clock, one, 101.0)
    bring(arrivals, clock, other, 102.0)
    assert not arrivals.speaks_for(one, "1.2"), "the other may bring more"
    arrivals.ended(other, whole=False)
    assert not arrivals.speaks_for(one, "1.2"), "the other was cut meanwhile"
    arrivals.ended(one)
    again = Line()
    bring(arrivals, clock, again, 110.0)
    assert arrivals.speaks_for(again, "1.2"), "it sends the series again"


def test_who_sends_again_speaks_for_a_connection_that_died_unnoticed():
    clock = Clock()
    arrivals, dead, again = Arrivals(clock), Line(), Line()
    bring(arrivals, clock, dead, 101.0)
    bring(arrivals, clock, again, 103.0)
    assert arrivals.speaks_for(again, "1.2")
