"""The report: complete, self-contained, escaped, right, and there for any run however odd."""

import csv
import re
import time
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest
from analytics_builders import SHARED, a_fill, a_report, a_walk, crossing, some_bars

from no_room import no_room
from ticklane.analytics.chart import NARROW, WIDE, draw, drawn_symbols
from ticklane.analytics.report import render_html, summarise_strategies, write_report
from ticklane.analytics.report_data import fills_of_trades
from ticklane.analytics.tables import trade_parts
from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, MINUTE, Bars, Quote

NASTY = "<script>alert('x')</script> $a_{b$ & \"q\" ${{1}}"


class Page(HTMLParser):
    """What a page asks a browser to load, and the text it shows."""

    LOADING = ("src", "srcset", "href", "xlink:href", "data", "poster", "action", "background")

    def __init__(self, html):
        super().__init__()
        self.loads, self.tags, self.words = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in self.LOADING and value[0] != "#"]

    def handle_data(self, text):
        self.words += text.split()

    @property
    def text(self):
        return " ".join(self.words)


def a_run(length=300, **more):
    bars = a_walk(length)
    return a_report(bars, crossing(bars, 20), **more)


@cache
def page_of_a_run():
    return render_html(a_run())


def words(data):
    return Page(render_html(data, sheets=())).text


def png_size(path):
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


@pytest.mark.parametrize("name", ["run.HTML", "run.png", "run"])
def test_both_files_are_written_whichever_is_named(tmp_path, name):
    page, picture = write_report(a_run(), tmp_path / name)

    assert (page, picture) == (tmp_path / "run.html", tmp_path / "run.png")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert png_size(picture)[0] == 1800


def test_a_folder_gets_a_file_named_report_and_missing_folders_are_made(tmp_path):
    folder = tmp_path / "new" / "deep"

    assert write_report(a_run(), folder / "run")[1].exists()
    assert write_report(a_run(), folder)[0] == folder / "report.html"


def test_another_suffix_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"ends in '.pdf', but must end in .html or .png"):
        write_report(a_run(), tmp_path / "run.pdf")


def test_a_place_that_cannot_be_written_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(a_run(), tmp_path / "file" / "run")


@pytest.mark.parametrize("size", [0, 30_000])
def test_of_a_report_that_does_not_fit_nothing_is_left(tmp_path, size):
    with no_room(size), pytest.raises(ConfigError, match="cannot be written"):
        write_report(a_run(), tmp_path / "run")

    assert list(tmp_path.iterdir()) == []


def test_the_page_loads_nothing_from_anywhere():
    html = page_of_a_run()

    page = Page(html)
    assert page.loads == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert re.findall(r"url\((?!#)", html) == []
    assert "@import" not in html
    assert set(re.findall(r'(\S+)="https?://', html)) == {"xmlns", "xmlns:xlink"}
    assert len(re.findall(r"https?://", html)) == len(re.findall(r'xmlns[:\w]*="http://', html))


def test_names_are_escaped_everywhere():
    bars = a_walk(60, symbol=NASTY)
    data = a_report(
        bars,
        crossing(bars, 10, strategy=NASTY),
        title=NASTY,
        subtitle=NASTY,
        label=NASTY,
        notes=[NASTY],
        currency=NASTY,
    )
    data = replace(data, fills=[fill._replace(rule=NASTY, detail=NASTY) for fill in data.fills])

    html = render_html(data)

    assert "<script" not in html
    assert "script" not in Page(html).tags
    assert html.count("&lt;script&gt;") > 10


def test_the_page_shows_the_key_numbers_the_label_and_the_assumptions():
    bars = some_bars(10, 10, 13, 13, step=DAY, first=10_000)
    day = 1440
    fills = [
        a_fill(100, 10, seen=10_002 * day, filled=10_001 * day),
        a_fill(-100, 13, seen=10_004 * day, filled=10_003 * day),
    ]

    data = a_report(bars, fills, cash=10_000, label="SIMULATED", notes=["Fills at the open."])
    shown = words(data)

    assert "SIMULATED" in shown
    assert "Final equity $10,300.00" in shown
    assert "Total return +3.00%" in shown
    assert "Fills at the open." in shown
    assert "AAA long 100 10.00 1997-05-20 13.00 1997-05-22 2 days +$300.00 +30.0%" in shown
    assert f"{data.metrics.days_per_year} days a year" in shown


def test_each_trade_shows_its_fills_and_why_they_have_their_price():
    bars = a_walk(30)

    shown = words(a_report(bars, crossing(bars, 10)))

    fill = crossing(bars, 10)[0]
    assert "Bought 2" in shown
    assert "Sold 2" in shown
    assert "market at open" in shown
    assert f"bar {fill.filled_at:%Y-%m-%d}: O {bars.open[1]:.2f}"[:-3] in shown


def test_a_fill_from_a_quote_shows_bid_and_ask():
    quote = Quote("AAA", MINUTE, 9.5, 10.5)

    data = a_report(some_bars(10, 11), [a_fill(1, "10.5", seen=2, source=quote, fee_asset="AAA")])

    assert "bid 9.50 ask 10.50" in words(data)


def test_an_open_trade_is_listed_as_open():
    bars = some_bars(10, 11, 12)

    shown = words(a_report(bars, [a_fill(1, 10, seen=2)]))

    assert "1 still open" in shown
    assert "12.00 open" in shown


def test_of_very_many_trades_the_first_and_the_last_are_listed():
    bars = a_walk(1_001)
    data = a_report(bars, crossing(bars, 1))

    parts = trade_parts(data)

    assert [len(part.lines) for part in parts] == [100, 100]
    assert [part.left_out for part in parts] == [300, 0]
    assert (parts[0].lines[-1].number, parts[1].lines[0].number) == ("100", "401")
    assert "300 trades are left out here." in words(data)


def test_of_very_many_fills_of_one_trade_the_first_are_listed():
    bars = some_bars(*range(10, 60))
    data = a_report(bars, [a_fill(1, 10, seen=i + 1) for i in range(40)])

    assert "28 more fills are left out here." in words(data)


def test_a_fill_through_zero_belongs_to_both_trades():
    fills = [a_fill(1, 10, seen=1), a_fill(-3, 11, seen=2), a_fill(2, 9, seen=3)]
    data = a_report(some_bars(10, 11, 9), fills)

    made = fills_of_trades(data.trades, data.fills)

    assert [[fill.quantity for fill in group] for group in made] == [[1, -3], [-3, 2]]


def test_trades_of_two_strategies_in_one_symbol_keep_their_own_fills():
    fills = [a_fill(1, 10, seen=1), a_fill(2, 10, seen=1, strategy="two"), a_fill(-1, 11, seen=2)]
    data = a_report(some_bars(10, 11), fills)

    made = fills_of_trades(data.trades, data.fills)

    assert [[fill.quantity for fill in group] for group in made] == [[1, -1], [2]]


def test_a_trade_whose_fills_are_unknown_says_so():
    data = replace(a_run(), fills=[])

    assert "Its fills are not part of this report." in words(data)


def test_strategies_are_summed_up_when_no_rows_are_given():
    fills = [
        a_fill(1, 10, seen=1, fee=1),
        a_fill(-1, 15, seen=2, fee=1),
        a_fill(1, 10, seen=2, strategy="two"),
    ]
    data = a_report(some_bars(10, 12), fills)

    one, two = summarise_strategies(data.trades, data.fills)

    assert (one.name, one.trades, one.open_trades, one.win_rate) == ("one", 1, 0, 1.0)
    assert (one.profit, one.fees) == (3, 2)
    assert (two.name, two.trades, two.open_trades, two.profit) == ("two", 0, 1, 2)
    assert np.isnan(two.win_rate)


def test_the_symbols_with_most_fills_are_drawn_and_the_others_named():
    bars = {f"S{i}": a_walk(20, symbol=f"S{i}") for i in range(8)}
    fills = crossing(bars["S7"], 5) + crossing(bars["S6"], 5)

    data = a_report(bars, fills)

    assert drawn_symbols(data) == ["S0", "S1", "S2", "S3", "S6", "S7"]
    assert "Not drawn: S4, S5." in words(data)


ODD = {
    "no bars at all": lambda: a_report({}),
    "a symbol without bars": lambda: a_report(some_bars(10).between(0, 0)),
    "one bar": lambda: a_report(some_bars(10), [a_fill(1, 10, seen=1)]),
    "two bars of one price": lambda: a_report(some_bars(10, 10)),
    "fills but no bars": lambda: a_report({}, [a_fill(1, 10, seen=1)]),
    "nothing traded": lambda: a_report(a_walk(400)),
    "all is lost": lambda: a_report(some_bars(10, 5, 1), [a_fill(200, 10, seen=2)], cash=1000),
    "tiny prices": lambda: a_report(some_bars(*np.linspace(1e-8, 9e-8, 300))),
    "huge prices": lambda: a_report(some_bars(*np.linspace(1e9, 9e12, 300)), cash=10**13),
    "a name no font knows": lambda: a_report(a_walk(30, symbol="股票 🚀"), title="股票"),
    "a very long title": lambda: a_run(title="long " * 60, subtitle="words " * 60),
    "a currency that looks like a formula": lambda: a_run(currency="$x^$"),
}


@pytest.mark.parametrize("run", ODD.values(), ids=ODD.keys())
def test_a_report_of_an_odd_run_is_written_without_a_warning(tmp_path, run):
    page, picture = write_report(run(), tmp_path / "run")

    assert "</html>" in page.read_text(encoding="utf-8")
    assert png_size(picture)[1] > 300


@pytest.mark.parametrize("sheet", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("minutes", [2.6, 4.9, 170, 290, 4_400, 7_100, 1.4e6])
def test_a_time_axis_of_any_length_finds_its_ticks(minutes, sheet):
    bars = some_bars(10, 11, 12, step=int(minutes * MINUTE) // 2)

    ticks = draw(a_report(bars), sheet).axes[-1].xaxis.get_major_ticks()

    assert 3 <= len(ticks) <= 12


def test_two_reports_of_one_run_are_equal_byte_by_byte(tmp_path):
    first = write_report(a_run(), tmp_path / "a")
    second = write_report(a_run(), tmp_path / "b")

    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_the_callers_own_look_of_matplotlib_neither_enters_nor_is_changed():
    import matplotlib

    plain = page_of_a_run()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True}):
        assert render_html(a_run()) == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_the_colours_of_the_drawing_follow_the_page():
    html = page_of_a_run()
    drawing = html[html.index("<svg") : html.rindex("</svg>")]

    assert re.findall(r"#[0-9a-f]{6}", drawing) == []
    used = set(re.findall(r"var\((--chart-\w+)\)", drawing))
    defined = set(re.findall(r"(--chart-\w+):", html))
    assert used <= defined


def test_a_report_of_a_million_bars_is_quick_and_small(tmp_path):
    bars = a_walk(1_000_000, step=MINUTE)
    data = a_report(bars, crossing(bars, 50))

    began = time.process_time()
    page, picture = write_report(data, tmp_path / "run")

    assert time.process_time() - began < 5
    assert page.stat().st_size < 1_500_000
    assert picture.stat().st_size < 1_500_000


def real_bars(symbol):
    path = SHARED / "bokeh" / f"{symbol}.csv"
    if not path.exists():
        pytest.skip(f"needs bokeh/{symbol}.csv of ../shared/data")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    open_ns = np.array([row["Date"] for row in rows], "datetime64[ns]").astype(np.int64)
    columns = [
        np.array([float(row[name]) for row in rows])
        for name in ("Open", "High", "Low", "Close", "Volume")
    ]
    return Bars(symbol, open_ns, open_ns + DAY, *columns)


def test_a_report_of_three_real_stocks_holds_every_part(tmp_path):
    bars = {symbol: real_bars(symbol) for symbol in ("AAPL", "IBM", "MSFT")}
    fills = [fill for symbol in bars for fill in crossing(bars[symbol], 60)]
    fills.sort(key=lambda fill: fill.seen_ns)

    page, picture = write_report(a_report(bars, fills, cash=100_000), tmp_path / "run.html")

    html = page.read_text(encoding="utf-8")
    shown = Page(html).text
    assert html.count("<svg") == 2
    assert all(part in shown for part in ("AAPL", "IBM", "MSFT", "Equity", "Drawdown", "Sharpe"))
    assert page.stat().st_size < 1_500_000
    width, height = png_size(picture)
    assert (width, height > 1500) == (1800, True)
