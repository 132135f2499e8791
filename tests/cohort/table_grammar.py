"""Random tables as people write them, each with the truth that it was written from.

``python -m benchmarks.tables`` runs many thousands of them. Of voxplain, only its readers of
cohorts and the design of confounds are used, so that ``PYTHONPATH`` can point to an older version.
"""

from __future__ import annotations

import csv
import inspect
import io
import random
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from voxplain.cohort.find.sources import from_bids, from_cat12, from_freesurfer, from_table
from voxplain.errors import VoxplainError, VoxplainWarning
from voxplain.fit.confounds import design

MISSING = (
    "", "n/a", "NA", "NaN", "unknown", "Unknown", "-", "--", "?", "#N/A", "not reported", "None",
    "N/A", "null", ".", "missing", "Not available", " ",
)  # fmt: skip
SPELLINGS = {
    "sex": {
        "male": ("M", "m", "Male", "male", "MALE", " M", "man"),
        "female": ("F", "f", "Female", "female", "FEMALE ", "woman"),
    },
    "dx": {
        "AD": ("AD", "ad", "AD ", "Ad"),
        "CN": ("CN", "Cn", " CN", "cn"),
        "MCI": ("MCI", "mci", "MCI "),
    },
    "treated": {"TRUE": ("TRUE", "True", "true"), "FALSE": ("FALSE", "False", "false", "FALSE ")},
    "answer": {"yes": ("yes", "Yes", "Y", "YES"), "no": ("no", "No", "N", "n")},
    "group": {"patient": ("1", "1.0", " 1"), "control": ("2", "2.0", "2 ")},
}
CODING = {"1": "patient", "2": "control", "-9": "n/a"}
LEFT_OUT = ("-9", "-9.0")


@dataclass
class Person:
    label: str | None
    age: float | None
    scan: str
    row: str = ""
    sessions: tuple[str, ...] = ()


@dataclass
class Table:
    """A table, the images beside it, and what is true of them.

    Parameters
    ----------
    source : str
    column : str
        Of the labels.
    people : list of Person
    decoys : list of str
        Names of rows of nobody who has a scan.
    odd : set of str
        What the rows could be misread for: a sentence that refuses them is right as well.
    """

    source: str
    column: str
    people: list[Person]
    decoys: list[str] = field(default_factory=list)
    odd: set[str] = field(default_factory=set)
    name: str = "participants.tsv"
    content: bytes = b""


def make_table(seed: int) -> Table:
    rng = random.Random(seed)
    source = rng.choice(("bids", "table", "freesurfer", "cat12"))
    column = rng.choice(tuple(SPELLINGS))
    count = rng.randint(4, 14)
    names = _scan_names(rng, count)
    classes = tuple(SPELLINGS[column])
    people = [
        Person(
            None if i > 3 and rng.random() < 0.15 else classes[i % len(classes)],
            None if rng.random() < 0.15 else round(rng.uniform(18, 89), 1),
            name,
        )
        for i, name in enumerate(names)
    ]
    made = Table(source, column, people)
    _name_rows(made, rng)
    if source in ("freesurfer", "cat12") and rng.random() < 0.5:
        for person in rng.sample(people, 3):
            person.sessions = ("1", "2")
    cells = _cells(made, rng)
    _write(made, cells, rng)
    return made


def _scan_names(rng: random.Random, count: int) -> list[str]:
    numbers = rng.sample(range(1, 40), count)
    width = rng.choice((1, 2, 3))
    prefix = rng.choice(("", "", "", "S", "IXI", "Pat"))
    return [f"{prefix}{number:0{width}d}" for number in numbers]


def _name_rows(made: Table, rng: random.Random) -> None:
    """Write the participants as some table might, alike in all rows."""
    names = [person.scan for person in made.people]
    numeric = all(name.isdigit() for name in names)
    ways = ["as they are", "sub-", "blanks", "formula"]
    if made.source != "table":
        ways += ["zeros", "case"] if not numeric else ["zeros", "floats", "floats"]
        ways += ["dash"] if not numeric else []
    way = rng.choice(ways)
    for person in made.people:
        name = person.scan
        letters = name.rstrip("0123456789")
        number = name[len(letters) :]
        person.row = {
            "as they are": name,
            "sub-": f"sub-{name}",
            "blanks": f" {name} ",
            "formula": f'="{name}"',
            "zeros": f"{letters}{int(number)}",
            "floats": f"{int(number)}.0",
            "case": name.swapcase(),
            "dash": f"{letters}-{number}",
        }[way]
    if made.source == "table" or not numeric or rng.random() < 0.6:
        return
    # Somebody else, whose name looks like that of a scan without a row.
    lost = [person for person in made.people if len(person.scan) > 1 and person.scan[0] != "0"]
    for person in lost[:1]:
        if way != "floats":
            made.decoys.append(f"{person.scan[0]}{rng.choice('_-.')}{person.scan[1:]}")
            if made.decoys[0].endswith(".0"):
                made.odd.add("2.0 may be 2 as a spreadsheet writes it")
            person.row = ""


def _cells(made: Table, rng: random.Random) -> list[list[str]]:
    label_words = MISSING if made.column != "sex" else (*MISSING, "U")
    some_missing = rng.random() < 0.6
    age = rng.choice((_plain, _comma, _dicom, _years, _short_years, _blanks, _mixed))
    town = rng.choice(("Köln", "München", "Rome", 'say "hi"', "a, b"))
    rows = []
    for person in made.people:
        if not person.row:
            continue
        if person.label is None:
            words = (*LEFT_OUT, "n/a") if made.column == "group" else label_words
            label = rng.choice(words) if some_missing else "n/a"
        else:
            label = rng.choice(SPELLINGS[made.column][person.label])
        years = rng.choice(MISSING) if person.age is None else age(person, rng)
        rows.append([person.row, label, years, town])
    rows += [
        [decoy, rng.choice(next(iter(SPELLINGS[made.column].values()))), "50", town]
        for decoy in made.decoys
    ]
    rng.shuffle(rows)
    return rows


def _plain(person: Person, rng: random.Random) -> str:
    return f"{person.age:g}"


def _comma(person: Person, rng: random.Random) -> str:
    return f"{person.age:.1f}".replace(".", ",")


def _dicom(person: Person, rng: random.Random) -> str:
    person.age = float(round(person.age or 0))
    return f"{person.age:03.0f}Y"


def _years(person: Person, rng: random.Random) -> str:
    return f"{person.age:g} {rng.choice(('years', 'yrs', 'y', 'years old'))}"


def _short_years(person: Person, rng: random.Random) -> str:
    return f"{person.age:g}{rng.choice('yY')}"


def _blanks(person: Person, rng: random.Random) -> str:
    return f" {person.age:g}\u00a0"


def _mixed(person: Person, rng: random.Random) -> str:
    return rng.choice((_plain, _comma, _years, _blanks))(person, rng)


def _write(made: Table, cells: list[list[str]], rng: random.Random) -> None:
    header = ["participant_id", made.column, "age", "town"]
    rows = [header, *cells]
    if made.source == "table":
        scans = {person.row: f"scan-{person.scan}.nii" for person in made.people}
        rows = [
            [*row, scans.get(row[0], "none.nii") if i else "image"] for i, row in enumerate(rows)
        ]
    _disturb(made, rows, rng)
    suffix, separator = rng.choice(
        ((".tsv", "\t"), (".tsv", "\t"), (".csv", ","), (".csv", ";"), (".txt", "\t"))
    )
    made.name = f"people{suffix}"
    text = io.StringIO()
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC))
    ending = rng.choice(("\n", "\n", "\r\n", "\r"))
    csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=ending).writerows(rows)
    content = text.getvalue()
    if rng.random() < 0.1:
        content = content.rstrip(ending)
    if '"say' in content and rng.random() < 0.3:
        made.odd.add("quotes")
        content = content.replace('""', "")
    if "Rome" in content and '"' not in content and rng.random() < 0.5:
        # A mark before a name in one row, and behind it in another.
        made.odd.add("quotes")
        first, _, rest = content.partition("Rome")
        middle, _, last = rest.rpartition("Rome")
        content = f'{first}"Rome{middle}Rome"{last}'
    encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"))
    made.content = content.encode(encoding)
    if encoding in ("latin-1", "cp1252"):
        made.odd.add("encoding")


def _disturb(made: Table, rows: list[list[str]], rng: random.Random) -> None:
    """Do to the rows what spreadsheets and hands do."""
    at = rng.randrange(1, len(rows))
    what = rng.choice(
        ("nothing", "nothing", "nothing", "rows of nothing", "a separator more", "a cell less",
         "a cell more", "a last cell less", "a column twice", "two columns of one name",
         "a blank in the header", "header in capitals")
    )  # fmt: skip
    if what == "rows of nothing":
        rows.insert(at, [""] * len(rows[0]))
        rows.append([""] * rng.randint(1, len(rows[0])))
    elif what == "a separator more":
        for row in rows[rng.randrange(2) :]:
            row.append("")
    elif what == "a cell less":
        made.odd.add(what)
        del rows[at][rng.randrange(1, len(rows[at]) - 1)]
    elif what == "a cell more":
        made.odd.add(what)
        rows[at].insert(rng.randrange(1, len(rows[at])), "x")
    elif what == "a last cell less":
        made.odd.add(what)
        del rows[at][-1]
    elif what == "a column twice":
        for row in rows:
            row.append(row[1])
    elif what == "two columns of one name":
        made.odd.add(what)
        others = [*SPELLINGS[made.column].values()]
        for i, row in enumerate(rows):
            row.append(rng.choice(rng.choice(others)) if i else f"{made.column} ")
    elif what == "a blank in the header":
        rows[0][1] = f" {made.column} "
    elif what == "header in capitals":
        rows[0][0] = "Participant_ID"


def read(made: Table, folder: Path) -> object:
    """Lay out the images, which nobody opens, and read the cohort."""
    table = folder / made.name
    table.write_bytes(made.content)
    for person in made.people:
        for session in person.sessions or ("",):
            tail = session and f"_ses-{session}"
            if made.source == "bids":
                path = folder / f"sub-{person.scan}/anat/sub-{person.scan}_T1w.nii.gz"
            elif made.source == "table":
                path = folder / f"scan-{person.scan}.nii"
            elif made.source == "freesurfer":
                path = folder / f"sub-{person.scan}{tail}/mri/brain.mgz"
            else:
                path = folder / f"mwp1sub-{person.scan}{tail}.nii"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    coding = CODING if made.column == "group" else None
    if made.source == "table":
        return from_table(table, made.column, coding)
    if made.source == "bids":
        return from_bids(folder, made.column, coding, participants=table)
    reader = from_freesurfer if made.source == "freesurfer" else from_cat12
    every = {"all_scans": True} if "all_scans" in inspect.signature(reader).parameters else {}
    return reader(folder, table, made.column, coding, **every)


def judge(made: Table, folder: Path) -> tuple[str, str]:
    """Read a table and compare it with its truth.

    Returns
    -------
    outcome : {"right", "refused", "wrong"}
    why : str
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = read(made, folder)
            if len(found) > 1:
                ages = design(found.participants["age"], np.arange(len(found)))
        except VoxplainError as error:
            if "\n" in str(error) or not str(error).endswith("."):
                return "wrong", f"not one sentence: {error}"
            # What has one reading must be read, however it is spelt and stored.
            clean = not (made.odd - {"encoding"})
            return ("wrong", f"refused: {error}") if clean else ("refused", str(error))
        except Exception as error:
            return "wrong", f"traceback: {type(error).__name__}: {error}"
    alien = [one for one in caught if not issubclass(one.category, VoxplainWarning)]
    if alien:
        return "wrong", f"a warning of another library: {alien[0].message}"
    wrong = _differences(made, found, ages)
    return ("wrong", wrong) if wrong else ("right", "")


def _differences(made: Table, found: object, ages: np.ndarray) -> str:
    people = {person.scan: person for person in made.people}
    names: dict[str, set[str]] = {}
    classes: dict[str, set[str]] = {}
    told, true = [], []
    for scan, (_, row), age in zip(found.scans, found.participants.iterrows(), ages, strict=True):
        path = str(scan.image)
        who = next(
            one for one in sorted(people, key=len, reverse=True)
            if any(f"{mark}{one}{end}" in path for mark in ("sub-", "scan-") for end in "_./")
        )  # fmt: skip
        person = people[who]
        if not person.row:
            return f"{who} has no row, and is labelled {row['label']}"
        if person.label is None:
            return f"{who} has no label, and is called {row['label']}"
        names.setdefault(person.scan, set()).add(row["participant_id"])
        classes.setdefault(person.label, set()).add(row["label"])
        if person.age is not None:
            told.append(age)
            true.append(person.age)
    if len({*map(tuple, names.values())}) < len(names) or any(len(n) > 1 for n in names.values()):
        return f"people are mixed up: {names}"
    given = [name for labels in classes.values() for name in labels]
    if len(given) != len(classes) or len(set(given)) < len(given):
        return f"classes are mixed up: {classes}"
    if ages.shape[1] != 1 and len(set(true)) > 1:
        return f"ages became {ages.shape[1]} groups"
    if len(set(true)) > 2 and not np.corrcoef(np.ravel(told), true)[0, 1] > 0.99999:
        return f"ages are wrong: {true}"
    lost = {person.scan for person in made.people if person.label and person.row} - set(names)
    return f"{sorted(lost)} are lost" if lost else ""
