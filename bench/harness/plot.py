"""The ratios to native as an SVG, written by hand: one panel a row, one bar a runner, a logarithmic axis."""
import math
from xml.sax.saxutils import escape

WIDTH = 900
LABEL_WIDTH = 230
VALUE_WIDTH = 110
BAR_HEIGHT = 14
BAR_GAP = 4
TITLE_HEIGHT = 26
PANEL_GAP = 14
COLOURS = {"native": "#888888", "shellguard": "#1b6ca8", "shellguard-glob": "#4d9ad1", "shellguard-logwrite": "#86bfe6"}
OTHER = "#c9a227"


def ratio_rows(result):
    return [row for row in result["rows"] if row["ratio"] and any("ratio" in cell for cell in row["cells"].values())]


def text(x, y, content, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(content)}</text>')


def panel(row, runners, top, scale):
    """The elements of one row, and the y where it ends."""
    y = top + TITLE_HEIGHT
    parts = [text(0, top + 16, f"{row['title']} (ratio to native; median in {row['unit']})", weight="bold")]
    for runner_id, entry in runners.items():
        cell = row["cells"][runner_id]
        parts.append(text(LABEL_WIDTH - 8, y + BAR_HEIGHT - 3, entry["title"], "end"))
        if "ratio" in cell:
            width = max(scale * math.log10(max(cell["ratio"], 1e-3)), 0.0) + 2
            parts.append(f'<rect x="{LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}" '
                         f'fill="{COLOURS.get(runner_id, OTHER)}"/>')
            parts.append(text(LABEL_WIDTH + width + 6, y + BAR_HEIGHT - 3, f"×{cell['ratio']:.2f} ({cell['median']:,.2f})"))
        else:
            parts.append(text(LABEL_WIDTH + 6, y + BAR_HEIGHT - 3, "not measured: " + cell.get("reason", "no native")))
        y += BAR_HEIGHT + BAR_GAP
    return parts, y + PANEL_GAP


def svg(result):
    rows = ratio_rows(result)
    largest = max((cell["ratio"] for row in rows for cell in row["cells"].values() if "ratio" in cell), default=1.0)
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH - 60) / max(math.log10(largest), 0.1)
    body, y = [], 10
    for row in rows:
        parts, y = panel(row, result["runners"], y, scale)
        body += parts
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
                      'font-family="sans-serif" font-size="12">',
                      f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>'] + body + ["</svg>", ""])
