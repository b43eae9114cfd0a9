"""Charts as pictures in metadata: PNG in a Markdown image, drawn by matplotlib.

The drawing library is loaded when a chart is drawn, never with the code location. What
the numbers are is `journeyport.seeing`'s; none of them is a value of anybody.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR = "#4f43dd"
_MOST = 12
"""Rows of a chart; what is beyond is left out and said so."""


def bars(title: str, numbers: Mapping[str, int], unit: str) -> dg.MetadataValue:
    """Horizontal bars, one for each name, the number beside each."""
    shown = dict(list(numbers.items())[:_MOST])
    if not any(shown.values()):
        return dg.MetadataValue.md(f"{title}: none.")

    def draw(axes: "Axes") -> None:
        names = list(shown)
        drawn = axes.barh(names, list(shown.values()), color=_COLOUR)
        axes.bar_label(drawn, padding=3, fontsize=8, fmt="{:,.0f}")
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        axes.margins(x=0.12)
        axes.spines[["top", "right"]].set_visible(False)

    return _picture(title, _more(title, numbers, shown), draw, height=len(shown))


def heat(title: str, rows: Mapping[str, Sequence[int]], along: str) -> dg.MetadataValue:
    """One line for each name, darker where the number is greater."""
    shown = dict(list(rows.items())[:_MOST])
    if not shown:
        return dg.MetadataValue.md(f"{title}: none.")

    def draw(axes: "Axes") -> None:
        drawn = axes.imshow(list(shown.values()), aspect="auto", cmap="Purples")
        axes.set_yticks(range(len(shown)), list(shown))
        axes.set_xlabel(along)
        axes.figure.colorbar(drawn, ax=axes, fraction=0.03)

    return _picture(title, _more(title, rows, shown), draw, height=len(shown))


def _more(title: str, every: Mapping[str, object], shown: Mapping[str, object]) -> str:
    left = len(every) - len(shown)
    return f"{title} (and {left} more)" if left else title


def _picture(
    name: str, title: str, draw: Callable[["Axes"], None], *, height: int
) -> dg.MetadataValue:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1.2 + 0.3 * height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    draw(axes)
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=90)
    data = base64.b64encode(sink.getvalue()).decode()
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{data})")
