"""Loading a user's file: one system, its history, and every failure told by the user's line."""

import os
import sys
from pathlib import Path

import pytest

import mainspring as ms
from mainspring.errors import DeclarationError
from mainspring.loop import load_system

SOUND = '''"""Which bicycles come back late.

And why.
"""
import mainspring as ms

class Trip(ms.Table):
    trip_id = ms.Key()
    booked = ms.KnownAt()

class Return(ms.Table):
    trip_id = ms.Key()
    late = ms.Float()
    back = ms.KnownAt()

system = ms.System(
    name="bikes",
    decision=ms.Decision(Trip, at=Trip.booked),
    label=ms.Label(Return.late > 0, by="trip_id", within="1d"),
    features={"hour": Trip.booked.hour()},
)
'''


@pytest.fixture
def write(tmp_path: Path):
    def put(text: str | bytes, name: str = "bikes.py") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return put


def refused(path: Path | str) -> DeclarationError:
    with pytest.raises(DeclarationError) as caught:
        load_system(path)
    assert caught.value.code == "DECLARE_FILE"
    assert caught.value.fix
    return caught.value


def test_a_file_is_loaded(write) -> None:
    path = write(SOUND)
    loaded = load_system(path)
    assert loaded.system.name == "bikes"
    assert loaded.path == path
    assert loaded.source_text == SOUND
    assert loaded.history is None
    assert loaded.docstring == "Which bicycles come back late.\n\nAnd why."
    assert loaded.system.description == loaded.docstring
    assert loaded.system.origin is not None
    assert (loaded.system.origin.file, loaded.system.origin.line) == (str(path), 16)


def test_a_description_of_its_own_stays_and_loading_twice_is_the_same(write) -> None:
    path = write(SOUND.replace('name="bikes",', 'name="bikes", description="Mine.",'))
    one, other = load_system(path), load_system(path)
    assert one.system.description == "Mine."
    assert one.system == other.system
    assert one.system.decision.table is not other.system.decision.table


def test_nothing_is_left_behind(write) -> None:
    write(
        "import mainspring as ms\nclass Trip(ms.Table):\n    trip_id = ms.Key()\n    booked = ms.KnownAt()\n",
        "bike_tables.py",
    )
    path = write(SOUND.replace("class Trip(ms.Table):", "from bike_tables import Trip\nclass Other(ms.Table):"))
    before, folders, bytecode = set(sys.modules), list(sys.path), sys.dont_write_bytecode
    load_system(path)
    assert {name for name in set(sys.modules) - before if not name.startswith("mainspring.")} == set()
    assert sys.path == folders
    assert sys.dont_write_bytecode is bytecode
    assert sorted(file.name for file in path.parent.iterdir()) == ["bike_tables.py", "bikes.py"]


def test_neighbours_are_read_anew(write) -> None:
    path = write(
        SOUND.replace('"1d"', "HORIZON").replace("import mainspring", "from spans import HORIZON\nimport mainspring")
    )
    for horizon in ("1d", "2d"):
        write(f"HORIZON = {horizon!r}\n", "spans.py")
        assert load_system(path).system.label.within == horizon


def test_a_relative_path_names_lines_as_it_was_written(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(SOUND).parent)
    system = load_system("bikes.py").system
    assert str(system.origin) == "bikes.py:16"


def test_a_utf8_mark_is_no_error(write) -> None:
    assert load_system(write(b"\xef\xbb\xbf" + SOUND.encode())).system.name == "bikes"


def test_history_is_a_function_that_sees_its_neighbours_or_a_mapping(write) -> None:
    write("ROWS = [1, 2]\n", "rows.py")
    function = load_system(
        write(SOUND + "\ndef history():\n    'Rows.'\n    from rows import ROWS\n    return {Trip: ROWS}\n")
    ).history
    assert callable(function)
    assert function.__doc__ == "Rows."
    assert list(function().values()) == [[1, 2]]
    assert "rows" not in sys.modules
    mapping = load_system(write(SOUND + "\nhistory = {Trip: ms.csv('trips.csv')}\n")).history
    assert isinstance(mapping, dict)
    assert list(mapping.values()) == [ms.csv("trips.csv")]
    assert "list" in refused(write(SOUND + "\nhistory = [1]\n")).problem


def test_of_several_systems_the_one_called_system_counts(write) -> None:
    two = SOUND + "\nother = ms.System(**{**vars(system), 'name': 'buses'})\n"
    assert load_system(
        write(two.replace("vars(system)", "{f: getattr(system, f) for f in ('decision', 'label', 'features')}"))
    )
    both = two.replace("vars(system)", "{f: getattr(first, f) for f in ('decision', 'label', 'features')}")
    error = refused(write(both.replace("system = ms.System", "first = ms.System")))
    assert "several" in error.problem
    assert "first, other" in error.exists


def test_one_system_of_any_name_is_found_once(write) -> None:
    renamed = SOUND.replace("system = ms.System", "bikes = ms.System") + "\nagain = bikes\n"
    assert load_system(write(renamed)).system.name == "bikes"


def test_no_such_file(tmp_path: Path, write) -> None:
    write(SOUND)
    error = refused(tmp_path / "bikse.py")
    assert "bikse.py" in error.problem
    assert "bikes.py" in error.exists
    assert "There is no file" in refused(tmp_path / "nowhere" / "bikes.py").problem


def test_a_folder(tmp_path: Path, write) -> None:
    write(SOUND)
    assert refused(tmp_path).exists == "It holds bikes.py."


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(write) -> None:
    path = write(SOUND)
    path.chmod(0)
    assert "Permission denied" in refused(path).problem


def test_not_utf8(write) -> None:
    error = refused(write("# M\xfcnchen\n".encode("latin-1") + SOUND.encode()))
    assert "byte 3 is 0xfc" in error.problem


@pytest.mark.parametrize("text", ["system = (\n", "x = 1\n  y = 2\n", "a\0b\n"])
def test_not_python(write, text: str) -> None:
    path = write(text)
    error = refused(path)
    assert "not valid Python" in error.problem
    if "\0" not in text:
        assert error.origin is not None
        assert error.origin.file == str(path)


def test_an_exception_is_told_by_the_users_line(write) -> None:
    path = write(SOUND.replace("Return.late > 0", "Retrun.late > 0"))
    error = refused(path)
    assert str(error.origin) == f"{path}:19"
    assert "NameError: name 'Retrun' is not defined" in error.problem
    assert error.exists.startswith("The line reads: label=ms.Label(Retrun.late")


def test_an_exception_in_a_neighbour_is_told_by_its_line(write) -> None:
    neighbour = write("x = 1\ny = x / 0\n", "broken.py")
    error = refused(write("import broken\n"))
    assert str(error.origin) == f"{neighbour}:2"
    assert "ZeroDivisionError" in error.problem


def test_a_file_that_ends_the_program_does_not(write) -> None:
    assert "SystemExit" in refused(write("import sys\nsys.exit(3)\n")).problem


def test_a_missing_package_comes_with_advice(write) -> None:
    error = refused(write("import no_such_package.part\n"))
    assert "pip install no_such_package" in error.fix
    assert error.origin is not None
    assert error.origin.line == 1
    assert "cannot import name 'Tabel'" in refused(write("from mainspring import Tabel\n")).problem


def test_errors_of_the_declaration_pass_unchanged(write) -> None:
    path = write(SOUND.replace('within="1d"', 'within="one day"'))
    with pytest.raises(DeclarationError) as caught:
        load_system(path)
    assert caught.value.code == "DECLARE_SPAN"
    assert str(caught.value.origin) == f"{path}:19"


def test_an_error_without_a_line_gets_the_one_that_ran(write) -> None:
    path = write("import mainspring.clock\nmainspring.clock.parse_span('soon')\n")
    with pytest.raises(DeclarationError) as caught:
        load_system(path)
    assert str(caught.value.origin) == f"{path}:2"


def test_no_system(write) -> None:
    error = refused(write("import mainspring as ms\ndef helper(): ...\n"))
    assert "declares no system" in error.problem
    assert error.exists == "It defines helper."
