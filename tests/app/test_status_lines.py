"""The status of a run with prices and an account from outside, in words."""

from ticklane.cli.status_lines import report_lines, status_lines

STREAM = {"is_up": True, "last_message_seconds": 3.21, "connections": 2, "last_error": ""}
COMPARED = {
    "why": "start",
    "at": "2026-11-20T15:04:14.5+00:00",
    "is_complete": True,
    "trouble": "",
    "found": ["a", "b"],
    "adopted": ["c"],
    "differs": [],
}


def lines_of(**told):
    """The lines between the head and the strategies."""
    rest = {"equity": "1", "cash": "1", "time": None, "strategies": [], "state": "running"}
    return status_lines(rest | told)[3:]


def test_a_feed_tells_of_its_bars_and_of_each_connection():
    prices = {
        "label": "ALPACA IEX",
        "timeframe": "1m",
        "last_bar_seconds": 12.4,
        "failed_requests": 0,
        "fetched": 1_200,
        "is_up": True,
        "reconnects": 1,
        "stream": {
            "ws://127.0.0.1:1/v2/iex": STREAM,
            "ws://127.0.0.1:1/v1beta3/crypto/us": STREAM | {"is_up": False, "last_error": "gone"},
        },
    }

    assert lines_of(prices=prices) == [
        "Bars         1m, last one closed 12 s ago, 1,200 fetched",
        "Data stream  up, heard 3.2 s ago, 1 reconnects (v2/iex)",
        "Data stream  down, heard 3.2 s ago, 1 reconnects, gone (v1beta3/crypto/us)",
    ]


def test_a_feed_without_bars_says_so():
    assert lines_of(prices={"timeframe": "1m"}) == ["Bars         1m, none yet"]


def test_an_account_tells_of_stream_budget_clock_and_comparison():
    venue = {
        "stream": {"is_up": True, "reconnects": 0, "heard_seconds_ago": None, "trouble": ""},
        "rate": {"limit": 200, "remaining": 192},
        "requests": {"requests": 1_008, "unclear": 1, "rate_limited": 0},
        "clock_skew_seconds": 2.5,
        "reconciliation": COMPARED,
    }

    assert lines_of(venue=venue) == [
        "Trade stream up, nothing heard yet, 0 reconnects",
        "Rate budget  192 of 200 requests left this minute",
        "Requests     1,008, 1 unclear, 0 rate limited",
        "Clock        2.500 s ahead of the broker's",
        "Compared     2026-11-20 15:04:14 UTC (start): 2 found, 1 taken over, 0 differ",
    ]


def test_a_comparison_that_broke_off_says_why():
    report = COMPARED | {"is_complete": False, "trouble": "no answer."}

    assert lines_of(venue={"reconciliation": report})[0].endswith("; not complete: no answer.")


def test_a_report_begins_with_its_instant_and_says_when_it_broke_off():
    report = COMPARED | {"is_complete": False, "trouble": "no answer."}

    assert report_lines(report) == [
        "Compared 2026-11-20 15:04:14 UTC, not complete",
        "Trouble: no answer.",
        "Found: 2",
        "  a",
        "  b",
        "Adopted: 1",
        "  c",
        "Differs: nothing",
    ]


def test_another_broker_speaks_in_its_own_words():
    venue = {"stream": "up", "rate": {"left": 3}, "is_safe": True, "restrictions": [1]}

    assert lines_of(venue=venue) == ["Stream       up", "Rate         left 3", "Safe         yes"]
