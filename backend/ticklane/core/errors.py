"""Every error ticklane raises on purpose; each message is one sentence a user can act on."""


class TicklaneError(Exception):
    """The root: catch this to catch everything that is the caller's to repair."""


class ConfigError(TicklaneError):
    """A setting, a parameter or an argument is not usable."""


class DataError(TicklaneError):
    """A price file, frame or column breaks a rule of the format."""


class StrategyError(TicklaneError):
    """A strategy cannot be loaded, or is used against its contract."""


class BrokerError(TicklaneError):
    """A broker cannot be reached or used (a refused order is a value, not an error)."""


class StorageError(TicklaneError):
    """The database cannot be opened, read or written."""


class DatabaseInUse(StorageError):
    """Another process trades on this database."""


class IllegalStep(TicklaneError):
    """An order was asked to take a step that its states do not allow: a bug, ours or a venue's."""
