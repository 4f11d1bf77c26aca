"""One A4 page: headings, tables and sentences that shrink together until they fit.

Layout and drawing are two passes, so that a page is drawn once and nothing is ever
pushed off it.  Text is real text in an embedded subset of the font: it can be
searched, copied and read out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from common.errors import DocumentTooLong
from common.paper import font

if TYPE_CHECKING:
    from fpdf import FPDF

WIDTH, HEIGHT, MARGIN = 210.0, 297.0, 12.0  # mm
INNER = WIDTH - 2 * MARGIN
POINT = 25.4 / 72  # mm
SMALLEST = 0.42  # of the sizes below: 3.4 point, what a copier still shows
STEP = 0.03
LEADING = 1.36  # height of a line, in sizes of its letters
FACE = "NotoSansJP"
MARK = "試験"
#: No line begins with these (JIS X 4051, in part).
_NOT_FIRST = "、。，．・）」』】〉》］｝ー々ゝぁぃぅぇぉっゃゅょァィゥェォッャュョ,.)]}:;%"
_GREY = 110


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a table: `size` in points at full scale."""

    text: str
    bold: bool = False
    size: float = 8.0
    grey: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text at its place: millimetres from the page's upper left corner."""

    x: float
    y: float
    text: str
    size: float
    bold: bool = False
    grey: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal line, or with `height` a filled bar behind a heading."""

    x: float
    y: float
    width: float
    height: float = 0.0


@dataclass(slots=True)
class Page:
    """What is drawn where; made anew for each scale."""

    drawn: list[Text | Rule] = field(default_factory=list)
    y: float = MARGIN


Row = tuple[tuple[Cell, ...], tuple[float, ...]]  # cells, and their shares of the width


@dataclass(slots=True)
class Sheet:
    """What a page says, from its top to its bottom.

    Parameters
    ----------
    title, subtitle : str
    made : datetime
        Date of the file; equal contents and dates make equal files.
    language : str
        Of the document, for readers that speak it (``ja``).
    test : bool
        Marked 試験 in large letters.
    code : str, optional
        Shown as a QR code at the upper right.
    """

    title: str
    subtitle: str
    made: datetime
    language: str = "ja"
    test: bool = False
    code: str = ""
    rows: list[Row | str] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)
    _pdf: FPDF | None = None

    def section(self, words: str) -> None:
        """Begin a section with a heading."""
        self.rows.append(font.printable(words))

    def row(self, *cells: Cell | str, widths: Sequence[float]) -> None:
        """Add a row of a table.

        Parameters
        ----------
        widths : sequence of float
            Shares of the page's width, one of each cell.
        """
        made = tuple(Cell(one) if isinstance(one, str) else one for one in cells)
        self.rows.append((made, tuple(widths)))

    def fact(self, label: str, value: object, *more: object) -> None:
        """Add a row of one, or of two, labels with their values."""
        pairs = [(label, value), *zip(more[::2], more[1::2], strict=True)]
        cells = [
            cell
            for name, said in pairs
            for cell in (Cell(str(name), grey=True, size=7.5), Cell(str(said)))
        ]
        share = 1 / len(pairs)
        self.row(*cells, widths=[width for _ in pairs for width in (0.15, share - 0.15)])

    def sentence(self, words: str, size: float = 7.5) -> None:
        """Add a sentence over the whole width."""
        self.row(Cell(words, size=size), widths=(1.0,))

    def pdf(self) -> bytes:
        """Return the page as a PDF.

        Raises
        ------
        DocumentTooLong
            It does not fit on one page in letters that can be read.
        FontMissing
        """
        self._pdf = self._empty()
        scale = 1.0
        while (page := self._laid_out(scale)).y > HEIGHT - MARGIN:
            scale -= STEP
            if scale < SMALLEST:
                raise DocumentTooLong(title=self.title)
        self._draw(page)
        out = io.BytesIO()
        self._pdf.output(out)
        return out.getvalue()

    def _empty(self) -> FPDF:
        from fpdf import FPDF

        pdf = FPDF(unit="mm", format="A4")
        pdf.set_auto_page_break(False)
        pdf.set_creation_date(self.made)
        pdf.set_title(font.printable(self.title))
        pdf.set_lang(self.language)
        pdf.set_creator("todoke")
        pdf.set_producer("todoke / fpdf2")
        pdf.set_keywords(font.NAMED)
        for style, name in (("", font.REGULAR), ("B", font.BOLD)):
            pdf.add_font(FACE, style, font.file(name))
        pdf.add_page()
        return pdf

    # -- layout -------------------------------------------------------------

    def _laid_out(self, scale: float) -> Page:
        page = Page()
        self._head(page, scale)
        for row in self.rows:
            if isinstance(row, str):
                height = 9 * scale * POINT * LEADING
                page.y += height * 0.25
                page.drawn.append(Rule(MARGIN, page.y, INNER, height))
                page.drawn.append(
                    Text(MARGIN + 1, page.y + height * 0.76, row, 9 * scale, bold=True)
                )
                page.y += height * 1.08
            else:
                self._table_row(page, row, scale)
        page.y += 2 * scale
        for line in self.foot:
            self._table_row(page, ((Cell(line, size=6.5, grey=True),), (1.0,)), scale, ruled=False)
        return page

    def _head(self, page: Page, scale: float) -> None:
        beside = 26.0 if self.code else 0.0
        width = (INNER - beside) / INNER
        for words, size, bold in ((self.title, 16, True), (self.subtitle, 9, False)):
            cell = Cell(words, size=size, bold=bold)
            self._table_row(page, ((cell,), (width,)), max(scale, 0.7), ruled=False)
        if self.test:
            mark = f"{MARK}  これは試験の記録であり、診療の伝送ではありません (TEST)"
            cell = Cell(mark, size=11, bold=True)
            self._table_row(page, ((cell,), (width,)), max(scale, 0.7), ruled=False)
        page.y = max(page.y, MARGIN + beside) + 1

    def _table_row(self, page: Page, row: Row, scale: float, *, ruled: bool = True) -> None:
        cells, widths = row
        x, tallest = MARGIN, 0.0
        for cell, share in zip(cells, widths, strict=True):
            width, size = share * INNER, cell.size * scale
            line = size * POINT * LEADING
            for number, words in enumerate(self._lines(cell, size, width - 1.5)):
                y = page.y + line * (number + 0.78)
                page.drawn.append(Text(x + 0.5, y, words, size, cell.bold, cell.grey))
                tallest = max(tallest, line * (number + 1))
            x += width
        page.y += tallest + 0.4 * scale
        if ruled:
            page.drawn.append(Rule(MARGIN, page.y, INNER))

    def _lines(self, cell: Cell, size: float, width: float) -> Iterator[str]:
        """Yield the lines of a text: Japanese breaks anywhere, Latin words where they can."""
        pdf = self._fonts()
        pdf.set_font(FACE, "B" if cell.bold else "", size)
        line, wide = "", 0.0
        for word in _words(font.printable(cell.text)):
            long = pdf.get_string_width(word)
            if line and wide + long > width and word not in _NOT_FIRST:
                yield line.rstrip()
                line, wide, word = "", 0.0, word.lstrip()
            if pdf.get_string_width(word) <= width:
                line, wide = line + word, wide + long
                continue
            for letter in word:  # a digest, or a name without any space
                step = pdf.get_string_width(letter)
                if line and wide + step > width:
                    yield line
                    line, wide = "", 0.0
                line, wide = line + letter, wide + step
        yield line

    def _fonts(self) -> FPDF:
        assert self._pdf is not None, "made by pdf()"  # noqa: S101 - for the type checker
        return self._pdf

    # -- drawing ------------------------------------------------------------

    def _draw(self, page: Page) -> None:
        pdf = self._fonts()
        pdf.set_draw_color(190)
        pdf.set_line_width(0.1)
        pdf.set_fill_color(228, 234, 242)
        for one in page.drawn:
            if isinstance(one, Text):
                pdf.set_text_color(_GREY if one.grey else 0)
                pdf.set_font(FACE, "B" if one.bold else "", one.size)
                pdf.text(one.x, one.y, one.text)
            elif one.height:
                pdf.rect(one.x, one.y, one.width, one.height, style="F")
            else:
                pdf.line(one.x, one.y, one.x + one.width, one.y)
        if self.code:
            self._draw_code()

    def _draw_code(self) -> None:
        import segno

        modules = segno.make(self.code, error="m", micro=False).matrix
        size = 25.0 / len(modules)
        pdf = self._fonts()
        pdf.set_fill_color(0)
        for down, line in enumerate(modules):
            for across, dark in enumerate(line):
                if dark:
                    x, y = WIDTH - MARGIN - 25.0 + across * size, MARGIN + down * size
                    pdf.rect(x, y, size, size, style="F")


def _words(text: str) -> Iterator[str]:
    """Yield what is not broken: a Latin word with the space behind it, any other letter alone."""
    word = ""
    for letter in text:
        if letter.isascii() and letter != " ":
            word += letter
            continue
        if letter == " ":
            yield word + " "
        else:
            if word:
                yield word
            yield letter
        word = ""
    if word:
        yield word
