"""`authz import casbin`: carries over the model and the rows of a Casbin program."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import explained, fail
from app.cli.terminal import Line, plural, printable, show, show_view

if TYPE_CHECKING:
    from app.policy.casbin_import.casbin_policy import CasbinFiles
    from app.policy.casbin_import.import_run import FinishedImport
    from app.policy.language.fault import Fault

MAX_FILE_BYTES = 24 * 1024 * 1024
MAX_ROW_FILES = 100
MAX_LISTED = 10  # notes of each kind
REPORT = "README.md"
NARROWER_STATUS = 3
_KINDS = {
    "left-out": ("allowed by Casbin and denied here", "yellow"),
    "wider-deny": ("denied here and not by Casbin", "yellow"),
    "no-effect": ("without effect, so left out", "dim"),
    "remark": ("to know", "dim"),
}


@click.command("casbin")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--out", required=True, metavar="NEW", type=click.Path(path_type=Path), help="The new policy directory.")
@click.option("--name", default="imported", show_default=True, help="The name of the service that the rows are about.")
@click.option("--model", metavar="FILE", help="The model in DIR; by default its only .conf file.")
@click.option(
    "--policy", "policies", multiple=True, metavar="FILE", help="Rows in DIR, in this order; default all .csv."
)
@click.option(
    "--base", metavar="POLICY", type=click.Path(path_type=Path), help="The policy that the rows are added to."
)
@click.option(
    "--openapi",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The OpenAPI document of the service. Without it and AUTHZ_ROUTES one is written, with the paths of the rows.",
)
@click.option("--action", "actions", multiple=True, metavar="A=GET,…", help="The methods that an action stands for.")
@click.option("--object", "objects", multiple=True, metavar="NAME", help="An object that only patterns match.")
@click.option("--subject", "subjects", multiple=True, metavar="NAME=GRANT", help="What a subject is, if no user.")
@click.option(
    "--match", "matching", multiple=True, metavar="g2=keyMatch2", help="The function of patterns in role rows."
)
@click.option("--depth", type=click.IntRange(1, 20), default=4, show_default=True, help="Segments behind an open end.")
@click.option("--ignore-last-slash", is_flag=True, help="Carry over paths that end with a slash as without it.")
@click.option("--samples", type=click.IntRange(0, 1_000_000), default=1_000, show_default=True, help="Random requests.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random requests.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@explained
def casbin_command(
    directory: Path,
    *,
    out: Path,
    name: str,
    model: str | None,
    policies: tuple[str, ...],
    base: Path | None,
    openapi: Path | None,
    actions: tuple[str, ...],
    objects: tuple[str, ...],
    subjects: tuple[str, ...],
    matching: tuple[str, ...],
    depth: int,
    ignore_last_slash: bool,
    samples: int,
    seed: int,
    as_json: bool,
) -> None:
    """Carry over the model and the rows of a Casbin program.

    Reads a model and its rows in DIR, and writes a new policy directory: the files of the policy that they are added
    to (--base; without it AUTHZ_POLICY_DIR, else `policies`), rows, roles, an OpenAPI document, cases with the verdicts
    of Casbin, and README.md with each row that was not carried over, and why. Before that, it compares its verdicts
    with those of pycasbin: on all requests that the files name, and on --samples random ones.

    No access gets wider. An allow that rows cannot state exactly is left out; a deny is made wider, or refuses the
    import.

    Exits with 0 when everything was carried over, with 3 when it wrote a policy that allows less than Casbin did, with
    1 when it wrote nothing, with 2 for wrong arguments.

    Example: authz import casbin ./casbin --name orders --out policies-new

    The rows are about the handlers of AUTHZ_ROUTES if it is set and --openapi is not given.

    For the routes of a service: authz import casbin ./casbin --openapi orders.yaml --name orders --out policies-new
    """
    from app.cli.policy.directory import directory_fault, policy_directory
    from app.cli.routes import handler_routes, route_table
    from app.policy.casbin_import.import_fault import ImportRefused
    from app.policy.casbin_import.import_options import ImportOptions
    from app.policy.casbin_import.import_run import run_import
    from app.policy.casbin_import.report import report_text
    from app.policy.language.fault import PolicyRefused
    from app.policy.language.load import load
    from app.settings import load_local

    options = ImportOptions(
        name,
        depth,
        ignore_last_slash,
        _methods(actions),
        _named(subjects, "--subject", "admin=role:admin"),
        objects,
        _named(matching, "--match", "g2=keyMatch2"),
        None if openapi is None else (f"upstreams/{name}.openapi{_ending(openapi)}", _text(openapi)),
        handler_routes() if openapi is None else None,
        samples,
        seed,
    )
    _check_out(out)
    files = _read(directory, model, policies)
    if base is None and (fault := directory_fault(load_local().policy_dir)):
        fail(f"{fault}: name the policy that the rows are added to with --base; `authz init` writes one.", code=2)
    chosen = policy_directory(base)
    try:
        done = run_import(files, options, load(chosen), route_table(), _progress)
    except ImportRefused as refused:
        _show_faults(refused.faults, directory)
    except PolicyRefused as refused:
        document = options.document[0] if options.document else ""
        own = [replace(each, file=str(openapi)) if each.file == document else each for each in refused.faults]
        _show_faults(own, Path() if own != list(refused.faults) else chosen)
    _write(out, {**done.files, REPORT: report_text(name, files, done).encode()})
    if as_json:
        from app.cli.imports.casbin_view import import_view

        show_view(import_view(done, str(out)))
    else:
        show(_summary(done, directory, out))
    if not done.is_exact:
        raise SystemExit(NARROWER_STATUS)


def _ending(document: Path) -> str:
    endings = {".yaml": ".yaml", ".yml": ".yaml", ".json": ".json"}
    if document.suffix not in endings:
        raise click.BadParameter(f"`{document}` must end with .yaml or .json.", param_hint="--openapi")
    return endings[document.suffix]


def _methods(given: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """`read=GET,HEAD` as a mapping; a method stands for one action only."""
    from app.policy.casbin_import.import_options import DOCUMENT_METHODS

    found: dict[str, tuple[str, ...]] = {}
    for pair in given:
        action, equals, methods = pair.partition("=")
        names = tuple(methods.split(","))
        if not equals or not action or any(name not in DOCUMENT_METHODS for name in names):
            raise click.BadParameter(f"`{pair}` is not of the form `read=GET,HEAD`.", param_hint="--action")
        if action in found or any(name in others for others in found.values() for name in names):
            raise click.BadParameter(f"`{pair}` repeats an action or a method.", param_hint="--action")
        found[action] = names
    return found


def _named(given: Sequence[str], option: str, example: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name or name in found:
            raise click.BadParameter(f"`{pair}` is not of the form `{example}`, or repeats a name.", param_hint=option)
        found[name] = value
    return found


def _check_out(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise click.UsageError(f"`{out}` exists: name a new directory.")
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"`{out.absolute().parent}` is not a directory.")


def _read(directory: Path, model: str | None, policies: Sequence[str]) -> CasbinFiles:
    from app.policy.casbin_import.casbin_policy import CasbinFiles

    if not directory.is_dir():
        fail(f"`{printable(str(directory))}` is not a directory.", code=2)
    names = sorted(path.name for path in directory.iterdir() if path.is_file())
    models = [model] if model else [name for name in names if name.endswith(".conf")]
    rows = list(policies) or [name for name in names if name.endswith(".csv")]
    if len(models) != 1:
        found = f"{len(models)} files that end with .conf" if models else "no file that ends with .conf"
        fail(f"`{printable(str(directory))}` has {found}: name the model with --model.", code=2)
    if not rows:
        fail(f"`{printable(str(directory))}` has no file that ends with .csv: name the rows with --policy.", code=2)
    if len(rows) > MAX_ROW_FILES or len(set(rows)) < len(rows):
        fail(f"there are more than {MAX_ROW_FILES} files of rows, or one twice.", code=2)
    for name in (*models, *rows):
        if not name.isprintable():
            fail(f"the file name `{printable(name)}` has a character that cannot be printed.", code=2)
    texts = {name: _text(directory / name) for name in (*models, *rows)}
    return CasbinFiles(models[0], texts[models[0]], {name: texts[name] for name in rows})


def _text(path: Path) -> str:
    from app.policy.language.directory import read_regular

    data = read_regular(path, MAX_FILE_BYTES)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fail(f"{path}:{line}: this is not UTF-8; save the file as UTF-8.")


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    """Write all files or none: into a directory of its own, which is then renamed."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.absolute().parent))
    try:
        for name, data in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(data)
        temporary.chmod(0o755)
        if out.exists():
            fail(f"`{printable(str(out))}` exists by now; nothing was written.")
        os.rename(temporary, out)  # noqa: PTH104  # like the calls around it, it must not follow a link
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _progress(message: str) -> None:
    show([(f"{message} …", "dim")], stderr=True)


def _show_faults(faults: Sequence[Fault], directory: Path) -> None:
    from app.cli.policy.findings_text import finding_lines
    from app.policy.analysis.findings import Finding

    show(finding_lines([Finding("error", fault) for fault in faults], directory, "The first of each kind"))
    show([[(plural(len(faults), "fault"), "bold red"), "; nothing was written."]])
    raise SystemExit(1)


def _summary(done: FinishedImport, directory: Path, out: Path) -> Iterator[Line]:
    for kind, (title, style) in _KINDS.items():
        notes = [note for note in done.notes if note.kind == kind]
        if not notes:
            continue
        yield [(f"{len(notes):,} {title}", style), ":"]
        for note in notes[:MAX_LISTED]:
            yield f"  {directory / note.file}:{note.line}: {note.message}"
            yield f"    {note.row}"
            if note.hint:
                yield f"    hint: {note.hint}"
        if len(notes) > MAX_LISTED:
            yield f"  … and {len(notes) - MAX_LISTED:,} more in {out / REPORT}"
        yield ""
    found = done.verification
    requests = f"{found.named:,} of {found.all_named:,} named and {found.random:,} random requests"
    yield f"Compared with pycasbin on {requests}: {found.equal:,} equal,"
    yield f"{found.narrower:,} denied because of rows above, {found.unnamed:,} denied since they have no name here."
    counts = (
        f"{plural(done.rules, 'rule')}, {plural(done.memberships, 'role row')} and {plural(len(found.cases), 'case')}"
    )
    outcome = (
        ("Everything carried over", "bold green") if done.is_exact else ("Written, narrower than Casbin", "bold yellow")
    )
    yield [outcome, f": {counts} in {out}, revision {done.revision}."]
