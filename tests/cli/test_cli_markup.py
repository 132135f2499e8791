"""Names of files, people and classes come out letter by letter, and are never read as markup."""

from __future__ import annotations

import ast
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import typer

import voxplain
from voxplain.cli import app
from voxplain.console import BarProgress, make_console, make_progress

Run = Callable[..., tuple[int, str, str]]

SOURCES = Path(voxplain.__file__).parent
# A closing tag without an opening one, a style, a picture, and formulas of matplotlib.
NASTY = "run[/x]y [bold]b[/] :smile: $a$ {0}"


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


GROUP: Any = typer.main.get_command(app)
COMMANDS = list(commands(GROUP))


def command_of(path: tuple[str, ...]) -> Any:
    found = GROUP
    for name in path:
        found = found.commands[name]
    return found


def squeezed(text: str) -> str:
    """Without blanks and frames, which depend on the width."""
    return "".join(c for c in text if not c.isspace() and c not in "│╭╮╰╯─")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_every_word(
    run: Run, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    code, shown, _ = run(*path, "--help")
    assert code == 0
    for parameter in command_of(path).params:
        said = squeezed((parameter.help or "").replace("\\[", "["))
        assert said in squeezed(shown), parameter.name


def test_the_help_of_a_table_names_the_mask(run: Run) -> None:
    assert "participant_id,image,[mask]." in squeezed(run("cohort", "table", "--help")[1])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_path_that_is_wrong_is_named_as_it_is(
    run: Run, path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every path that a command takes is one that nobody can read or make."""
    if path[-1] in ("doctor", "methods", "oasis", "phantom"):
        pytest.skip("takes no path, or looks at it late")
    monkeypatch.setenv("COLUMNS", "4000")
    (tmp_path / "file").write_text("")
    nowhere = tmp_path / "file" / NASTY
    given: list[object] = []
    for parameter in command_of(path).params:
        if parameter.param_type_name == "argument":
            given.append(nowhere)
        elif parameter.required:
            given += [parameter.opts[0], "mrinet" if parameter.name == "network" else nowhere]
    code, shown, error = run(*path, *given)
    assert code == 2, error
    assert NASTY in " ".join(error.split()), error
    assert "Traceback" not in shown + error


@pytest.mark.parametrize(
    "given", [["nocommand[/x]"], ["methods", "[/x]y"], ["fit", "a", "--opt[/x]"]]
)
def test_slips_on_the_command_line(run: Run, given: list[str]) -> None:
    code, _, error = run(*given)
    assert code == 2
    assert "[/x]" in error


def test_a_cohort_of_nasty_names(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes, sites, columns and folders with brackets reach the terminal and the disk whole."""
    monkeypatch.setenv("COLUMNS", "400")
    rows = ["participant_id\timage\tdx\tsite"]
    world = np.moveaxis(np.indices((30, 36, 30)), 0, -1) * 6.0 - [87, 123, 70]
    inside = np.linalg.norm((world - [0, -18, 9]) / [62, 80, 62], axis=-1) < 1
    affine = np.array([[6.0, 0, 0, -87], [0, 6, 0, -123], [0, 0, 6, -70], [0, 0, 0, 1]])
    folder = tmp_path / NASTY
    folder.mkdir(parents=True)
    for i in range(6):
        texture = np.random.default_rng(i).integers(50, 150, inside.shape)
        nib.save(nib.Nifti1Image((inside * texture).astype(np.int16), affine), folder / f"{i}.nii")
        rows.append(f"{i}\t{i}.nii\t{('[red]A$a$', 'B[/x]')[i % 2]}\t[/s]{i % 2}")
    rows.append("9\t[/gone].nii\tB[/x]\t[/s]1")
    (folder / "t.tsv").write_text("\n".join(rows))
    out = folder / "out"
    code, shown, error = run(
        "cohort", "table", folder / "t.tsv", "--label", "dx", "--out", out, "--workers", 1
    )
    assert (code, error) == (0, "")
    for text in ("[red]A$a$", "B[/x]", "[/s]0 3", str(out / "cohort.html")):
        assert text in shown
    page = (out / "cohort.html").read_text()
    assert "[red]A$a$" in page
    code, shown, error = run("cohort", "check", out)
    assert (code, error) == (0, "")
    assert str(out) in shown


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_and_tables(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.table import Table

    console = make_console()
    console.file = io.StringIO()
    console.width = 400
    console._force_terminal = terminal
    progress = make_progress(console)
    assert isinstance(progress, BarProgress) == terminal
    with progress.step(NASTY, 2) as advance:
        advance(1, note=NASTY)
    progress.say(NASTY)
    shown = Table(NASTY, title=NASTY)
    shown.add_row(NASTY)
    console.print(shown)
    assert console.file.getvalue().count(NASTY) >= 5


def test_every_console_is_made_in_one_place() -> None:
    """Elsewhere a console would read markup, as rich does by default."""
    made = [
        (path.relative_to(SOURCES).as_posix(), call)
        for path in SOURCES.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name | ast.Attribute)
        and getattr(call.func, "id", getattr(call.func, "attr", "")) in ("Console", "TextColumn")
    ]  # fmt: skip
    assert {path for path, _ in made} == {"console.py"}
    for _, call in made:
        told = {one.arg: one.value for one in call.keywords}
        assert isinstance(told["markup"], ast.Constant)
        assert told["markup"].value is False


def test_figures_take_dollars_for_letters() -> None:
    from voxplain.report.figures import covariates
    from voxplain.report.figures.style import house_style

    ages = {"age, years": np.arange(8.0)}
    labels = ["$x", "a$\\frac$"] * 4
    with house_style():
        assert covariates(ages, labels, ("$x", "a$\\frac$")).startswith(b"\x89PNG")
