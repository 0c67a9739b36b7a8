"""EventBus: every event to every listener, whatever the others do."""

from ticklane.core.events import RunStarted, RunStopped
from ticklane.engine.bus import EventBus

BEGUN, ENDED = RunStarted("r1", 1), RunStopped("r1", 2, "end")


def test_every_listener_hears_every_event_in_order():
    bus, one, two = EventBus(), [], []
    bus.subscribe(one.append)
    bus.subscribe(two.append)

    bus.publish([BEGUN, ENDED])

    assert one == two == [BEGUN, ENDED]


def test_an_error_of_a_listener_is_logged_and_stays_its_own(caplog):
    def broken(event):
        raise ValueError("too bad")

    bus, heard = EventBus(), []
    bus.subscribe(broken)
    bus.subscribe(heard.append)

    bus.publish([BEGUN, ENDED])

    assert heard == [BEGUN, ENDED]
    assert caplog.messages == [
        "a listener of the event bus failed on RunStarted",
        "a listener of the event bus failed on RunStopped",
    ]


def test_who_has_left_hears_nothing_more():
    bus, heard = EventBus(), []
    leave = bus.subscribe(heard.append)
    bus.publish([BEGUN])

    leave()
    leave()
    bus.publish([ENDED])

    assert heard == [BEGUN]
    assert not bus.has_listeners


def test_a_listener_may_leave_or_come_while_it_is_told():
    bus, heard = EventBus(), []

    def once(event):
        heard.append(event)
        leave()
        bus.subscribe(heard.append)

    leave = bus.subscribe(once)
    bus.publish([BEGUN, ENDED])

    assert heard == [BEGUN, ENDED]
    assert bus.has_listeners
