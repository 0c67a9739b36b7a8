"""Files are written whole or not at all, also where the disk gets full."""

import os
import subprocess
import sys

import pytest

from no_room import no_room
from ticklane.whole_file import whole_file


def write(path, text):
    with whole_file(path) as part:
        part.write_text(text)


def test_a_file_is_there_when_it_is_whole(tmp_path):
    file = tmp_path / "out.csv"

    with whole_file(file) as part:
        part.write_text("half")
        assert not file.exists()

    assert file.read_text() == "half"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("size", [0, 10])
def test_of_a_file_that_does_not_fit_nothing_is_left(tmp_path, size):
    with no_room(size), pytest.raises(OSError, match="File too large"):
        write(tmp_path / "out.csv", "much too long")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_there_before_stays_when_the_new_one_does_not_fit(tmp_path):
    file = tmp_path / "out.csv"
    file.write_text("of yesterday")

    with no_room(), pytest.raises(OSError, match="File too large"):
        write(file, "of today")

    assert file.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_keeps_its_permissions_and_a_link_its_target(tmp_path):
    file, link = tmp_path / "out.csv", tmp_path / "link.csv"
    file.touch()
    file.chmod(0o600)
    link.symlink_to(file)

    write(link, "new")

    assert link.is_symlink()
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_no_file_is_written_itself(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    write(tmp_path / "pipe", "to whom it concerns")

    assert os.read(reader, 100) == b"to whom it concerns"
    os.close(reader)


def test_what_a_shell_has_opened_goes_on_where_it_is(tmp_path):
    program = "import sys, pathlib; from ticklane.whole_file import whole_file\n"
    program += "with whole_file(pathlib.Path('/dev/stdout')) as part:\n"
    program += "    with part.open('a') as file: file.write('TABLE ')\nprint('note')"
    with (tmp_path / "out").open("a") as file:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", program]
        subprocess.run(command, stdout=file, env=environment, check=True)

    assert (tmp_path / "out").read_text() == "TABLE note\n"


def test_a_long_name_is_a_name(tmp_path):
    write(tmp_path / ("x" * 250), "text")

    assert (tmp_path / ("x" * 250)).read_text() == "text"


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "missing" / "out.csv", "text")

    assert caught.value.filename == str(tmp_path / "missing" / "out.csv")
