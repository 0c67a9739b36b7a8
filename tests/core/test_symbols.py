"""One instrument has one name, however it is written."""

import pytest

from ticklane.core.errors import ConfigError
from ticklane.core.symbols import is_crypto, normal_symbol


@pytest.mark.parametrize("written", ["BTC/USD", "BTCUSD", "btcusd", " btc/usd ", "BTC-USD"])
def test_a_pair_has_one_name(written):
    assert normal_symbol(written) == "BTC/USD"
    assert is_crypto(written)


@pytest.mark.parametrize("written", ["AAPL", "BRK.B", "F", "IBM", "USD", "XUSD", "BTC"])
def test_a_stock_stays_a_stock(written):
    assert normal_symbol(written) == written
    assert not is_crypto(written)


def test_a_coin_may_be_quoted_in_another():
    assert normal_symbol("ETHBTC") == "ETH/BTC"
    assert normal_symbol("USDTUSD") == "USDT/USD"
    assert normal_symbol("NEWCOIN/USD") == "NEWCOIN/USD"


@pytest.mark.parametrize("written", ["", "A B", "../AAPL", "BTC//USD", "$AAPL", "A" * 40])
def test_what_cannot_be_a_symbol_is_refused(written):
    with pytest.raises(ConfigError, match="must be letters and digits"):
        normal_symbol(written)
