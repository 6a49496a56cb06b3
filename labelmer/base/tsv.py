"""TSV files as cells of text: UTF-8, tab-separated, unquoted, with a header row.

A table that people give may be quoted as well, as pandas and spreadsheets write it.
"""

import codecs
import csv
import io
import itertools
import re
import sys
from pathlib import Path

import pandas as pd

from labelmer.base.errors import InputError
from labelmer.base.log import log

# A cell in quotes that doubles the quotes within: it means what is inside.
DOUBLED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')

# What pandas, R, Python, databases and spreadsheets write for a value that is not there.
MISSING = {"nan", "NaN", "<NA>", "NaT", "NA", "None", "null", "NULL", "#N/A", "#NAME?", "#REF!"}
MISSING |= {"#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "N/A", "n/a", "#N/A N/A", "-nan", "-NaN"}
MISSING |= {"#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#VALEUR!", "#NOMBRE!", "#¡VALOR!"}
MISSING |= {"1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", r"\N", "(null)", "nil"}

MARK = "\ufeff"  # the byte order mark, before the text of a file

Rows = dict[int, list[str]]  # {number of a row's first line: its cells}


def cells(path: Path | str, quoted: bool = False) -> pd.DataFrame:
    """The cells of any TSV file: a frame of strings, its index the numbers of the rows' lines.

    Raise InputError if it is not one.
    A last line without a line end is an error too, or, where people give the table, a warning.

    quoted: the table may be quoted (RFC 4180). It is read so if its header is in quotes, if a cell
    is and doubles the quotes within, or if a row that has too many or too few cells opens one, or
    goes on in such a row.
    """
    text = _text(path)
    # A large table has few different cells, and one of each is enough.
    rows = {
        number: list(map(sys.intern, line.removesuffix("\r").split("\t")))
        for number, line in enumerate(text.rstrip("\r\n").split("\n"), 1)
    }
    if quoted and _is_quoted(rows):
        rows = _unquoted(text.rstrip("\r\n"), path)
    elif quoted:
        _warn_of_quotes(rows, path)
    _check_rows(rows, path)
    if not text.endswith("\n"):
        _tell_of_an_open_end(rows, path, quoted)
    header = rows.pop(1)
    table = pd.DataFrame(list(rows.values()), index=list(rows), columns=header, dtype=str)
    if quoted:
        _warn_of_missing(table, path)
    return table


def _text(path: Path | str) -> str:
    """The text of a file; raise InputError if it is not UTF-8 or its lines do not end in LF."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise _no_table(path, error) from None
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # the first begins as UTF-16
        raise _no_table(path, "it is UTF-32; save it as UTF-8")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _no_table(path, "it is UTF-16, as a spreadsheet's 'Unicode text'; save it as UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"line {line}: byte 0x{data[error.start]:02X}"
        remedy = "save it as UTF-8; if labelmer wrote it, move it away, and run the workflow again"
        raise _no_table(path, f"{byte}; {remedy}") from None
    text = text.lstrip(MARK)
    if joined := re.search(rf"\n{MARK}", text):
        line = text.count("\n", 0, joined.end()) + 1
        why = "a byte order mark, as where a second file begins; take it out, and its header"
        raise _no_table(path, f"line {line}: begins with {why}, if there is one")
    odd = re.search(r"\r(?!\n)|\0", text.rstrip("\r\n"))
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        what = "a NUL byte" if odd[0] == "\0" else "a carriage return within the line"
        raise _no_table(path, f"line {line}: {what}; take it out, and end each row with LF or CRLF")
    if not text.strip():
        raise _no_table(path, "it is empty; expected a header and rows")
    return text


def _no_table(path: Path | str, why: object) -> InputError:
    return InputError(f"{path}: not a table of tab-separated UTF-8 text ({why})")


def _is_quoted(rows: Rows) -> bool:
    """Is a table quoted? rows: {line number: its cells, as tabs part them}."""
    header = rows[1]
    if any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in header):
        return True
    for row, below in itertools.pairwise([*rows.values(), header]):
        opened = [cell for cell in row if cell.startswith('"')]
        # A last cell with a line end within goes on below, where cells lack then.
        uneven = len(row) != len(header) or (
            len(below) < len(header) and row[-1] in opened and row[-1].count('"') % 2 == 1
        )
        if opened and (uneven or any(map(DOUBLED.fullmatch, opened))):
            return True
    return False


def _warn_of_quotes(rows: Rows, path: Path | str) -> None:
    """Spreadsheets quote cells with commas; nothing tells such a cell from a quotation."""
    quotations = [
        (line, cell)
        for line, row in rows.items()
        for cell in row
        if len(cell) > 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('\\"', "")
    ]
    if quotations:
        log.warning(
            "%s:%d: the quotes around %s are taken for characters of the text (cells like this: "
            "%d); if the program that wrote the table put them there, take them off, and the "
            "backslashes before quotes within",
            *(path, *quotations[0], len(quotations)),
        )


def _unquoted(text: str, path: Path | str) -> Rows:
    """The cells of a quoted table: {number of a row's first line: its cells}."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    rows, line = {}, 1
    try:
        for row in reader:
            # A cell with both has swallowed a row: its quote was a character, not an opening.
            if any("\n" in cell and "\t" in cell for cell in row):
                raise csv.Error("it goes on into the next row")
            rows[line] = row
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}:{line}: a cell begins with a quote and does not end as a quoted cell does "
            f"({error}); double the quotes within it, or, if this table is not quoted, correct the "
            "row's tabs"
        ) from None
    return rows


def _warn_of_missing(table: pd.DataFrame, path: Path | str) -> None:
    """Programs write words for a cell that holds nothing, or that they could not fill."""
    for column in table.columns:
        found = table[column][table[column].isin(MISSING)]
        if len(found):
            log.warning(
                "%s:%d: %s is '%s', as programs write a cell without a value (cells like this: "
                "%d); empty such a cell, if it has none",
                *(path, found.index[0], column, found.iloc[0], len(found)),
            )


def _tell_of_an_open_end(rows: Rows, path: Path | str, given: bool) -> None:
    """A table that ends without a line end may be cut short within its last cell."""
    line, row = next(reversed(rows.items()))
    if not given:
        raise InputError(
            f"{path}:{line}: the table ends within its last line, at '{row[-1]}'; move it away, "
            "and run the workflow again"
        )
    log.warning(
        "%s:%d: no line end behind the last cell, '%s'; if that is cut short, get the whole table",
        *(path, line, row[-1]),
    )


def _check_rows(rows: Rows, path: Path | str) -> None:
    """Raise InputError unless all rows have the header's cells. rows: {line number: its cells}."""
    header = rows[1]
    if len(header) == 1:
        raise InputError(
            f"{path}:1: no tab in the header '{header[0]}', expected columns parted by tabs (not "
            "by commas, semicolons or blanks); write the table anew with tabs"
        )
    for number, name in enumerate(header, 1):
        if not name.strip():
            raise InputError(
                f"{path}:1: column {number} has no name, expected one for each column; name it, or "
                "leave it out (pandas' row numbers: to_csv(..., index=False))"
            )
        if header.count(name) > 1:
            raise InputError(f"{path}:1: the column '{name}' stands twice; remove or rename one")
    bare = [_bare(name) for name in header]
    for line, row in rows.items():
        if row in ([], [""]):
            raise InputError(f"{path}:{line}: an empty line between the rows; remove it")
        if len(row) != len(header):
            if all(len(rows[n]) == len(header) + 1 for n in rows if n > 1):
                raise InputError(
                    f"{path}: every row has {len(row)} cells and the header {len(header)}, as R "
                    "writes the names of rows; write the table anew with row.names = FALSE"
                )
            raise InputError(
                f"{path}:{line}: {len(row)} cells, expected {len(header)} as in the header; "
                "correct the row (an empty cell needs its tab too)"
            )
        if line > 1 and all(_bare(cell) == name for cell, name in zip(row, bare, strict=True)):
            raise InputError(f"{path}:{line}: the header stands here again; remove the line")


def _bare(cell: str) -> str:
    return cell.strip(" \xa0").casefold()
