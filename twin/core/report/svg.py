"""A report's drawings as SVG."""

from html import escape

from twin.core.report.shapes import Area, Band, Cells, Drawing, Line, Rect, Text, cell_runs, hatching

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


def svg(drawing: Drawing) -> str:
    """Return a drawing as an element that scales with the page and says in words what it shows."""
    body = "".join(_shape(shape) for shape in drawing.shapes)
    return (
        f'<svg role="img" aria-label="{escape(drawing.alt)}" viewBox="0 0 {_n(drawing.width)} {_n(drawing.height)}" '
        f'width="{_n(drawing.width * 1.6)}" font-family="{FONT}">{body}</svg>'
    )


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _path(points: tuple[tuple[float, float], ...]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _shape(shape: object) -> str:
    match shape:
        case Rect():
            return _rect(shape)
        case Line():
            dashes = f' stroke-dasharray="{" ".join(map(_n, shape.dashes))}"' if shape.dashes else ""
            return (
                f'<path d="{_path(shape.points)}" fill="none" stroke="{shape.stroke}" '
                f'stroke-width="{_n(shape.width)}"{dashes}/>'
            )
        case Area():
            return f'<path d="{_path(shape.points)}Z" fill="{shape.fill}"/>'
        case Band():
            return _band(shape)
        case Text():
            anchor = f' text-anchor="{shape.anchor}"' if shape.anchor != "start" else ""
            weight = ' font-weight="700"' if shape.bold else ""
            return (
                f'<text x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{_n(shape.size)}" fill="{shape.fill}"'
                f"{anchor}{weight}>{escape(shape.text)}</text>"
            )
        case Cells():
            return _cells(shape)
    raise TypeError(f"{type(shape).__name__} is no shape of a drawing")


def _rect(rect: Rect) -> str:
    stroke = f' stroke="{rect.stroke}" stroke-width="{_n(rect.stroke_width)}"' if rect.stroke else ""
    found = (
        f'<rect x="{_n(rect.x)}" y="{_n(rect.y)}" width="{_n(rect.width)}" height="{_n(rect.height)}" '
        f'fill="{rect.fill or "none"}"{stroke}/>'
    )
    if rect.hatched:
        lines = "".join(_path(line) for line in hatching(rect))
        found += f'<path d="{lines}" stroke="#000" stroke-width=".6"/>'
    return found


def _band(band: Band) -> str:
    middle, below = (band.x0 + band.x1) / 2, band.thickness
    return (
        f'<path fill="{band.fill}" d="M{_n(band.x0)} {_n(band.y0)}C{_n(middle)} {_n(band.y0)} {_n(middle)} '
        f"{_n(band.y1)} {_n(band.x1)} {_n(band.y1)}V{_n(band.y1 + below)}C{_n(middle)} {_n(band.y1 + below)} "
        f'{_n(middle)} {_n(band.y0 + below)} {_n(band.x0)} {_n(band.y0 + below)}Z"/>'
    )


def _cells(cells: Cells) -> str:
    """Join equal neighbours, one path per colour: a year has 8,760 cells."""
    paths: dict[int, list[str]] = {}
    for row, levels in enumerate(cells.levels):
        for level, first, count in cell_runs(levels):
            paths.setdefault(level, []).append(f"M{first} {row}h{count}v1h-{count}z")
    body = "".join(f'<path fill="{cells.colours[level]}" d="{"".join(d)}"/>' for level, d in paths.items())
    place = f"translate({_n(cells.x)} {_n(cells.y)}) scale({cells.cell_width:.5f} {cells.cell_height:.5f})"
    return f'<g transform="{place}" shape-rendering="crispEdges">{body}</g>'
