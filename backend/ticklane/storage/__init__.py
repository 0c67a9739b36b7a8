"""The storage room: one SQLite file that holds every run, its journal and its books."""
