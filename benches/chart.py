"""Tables and charts of a run of bench.py: docs/benchmarks.md and the SVG files beside it."""

import json

STYLE = """<style>text{font:13px system-ui,sans-serif;fill:#1f2933}.faint{fill:#7b8794}.us{fill:#2f6f4f}.them{fill:#b8c0c8}.line{stroke:#e4e7eb}
@media(prefers-color-scheme:dark){text{fill:#e4e7eb}.faint{fill:#9aa5b1}.us{fill:#6fcf97}.them{fill:#52606d}.line{stroke:#323f4b}}</style>"""


def bars(rows, title):
    """One bar a row: how many times PocketBase."""
    height, left, width = 24, 250, 470
    most = max(row["ratio"] for row in rows)
    total = 50 + height * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 70} {total}" role="img" aria-label="{title}">', STYLE]
    out.append(f'<text x="0" y="18" font-weight="600">{title}</text>')
    one = left + width / most
    out.append(f'<line class="line" x1="{one:.0f}" x2="{one:.0f}" y1="30" y2="{total}"/>')
    for at, row in enumerate(rows):
        y = 36 + at * height
        length = width * row["ratio"] / most
        out.append(f'<text x="{left - 10}" y="{y + 13}" text-anchor="end">{row["name"]}</text>')
        out.append(f'<rect class="us" x="{left}" y="{y}" width="{length:.0f}" height="16" rx="3"/>')
        out.append(f'<text class="faint" x="{left + length + 8:.0f}" y="{y + 13}">{row["ratio"]:.1f} x</text>')
    out.append("</svg>")
    return "\n".join(out)


def pairs(facts, title):
    """Start, memory and size, beside each other."""
    names = [("start_ms", "start to first answer, ms"), ("idle_mib", "memory, idle, MiB"), ("peak_mib", "memory, peak, MiB"), ("binary_mib", "binary, MiB")]
    by = {fact["server"]: fact for fact in facts}
    left, width, height = 250, 400, 46
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 130} {40 + height * len(names)}" role="img" aria-label="{title}">', STYLE]
    out.append(f'<text x="0" y="18" font-weight="600">{title}</text>')
    for at, (key, name) in enumerate(names):
        y = 36 + at * height
        most = max(fact[key] for fact in facts)
        out.append(f'<text x="{left - 10}" y="{y + 21}" text-anchor="end">{name}</text>')
        for nth, (server, style) in enumerate((("burrow", "us"), ("pocketbase", "them"))):
            length = width * by[server][key] / most
            out.append(f'<rect class="{style}" x="{left}" y="{y + nth * 18}" width="{length:.0f}" height="15" rx="3"/>')
            out.append(f'<text class="faint" x="{left + length + 8:.0f}" y="{y + nth * 18 + 12}">{by[server][key]:.0f} {server}</text>')
    out.append("</svg>")
    return "\n".join(out)


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def table(head, lines):
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def write(report, docs):
    (docs / "benchmarks").mkdir(parents=True, exist_ok=True)
    (docs / "benchmarks" / "run.json").write_text(json.dumps(report, indent=1))
    requests = [row for row in report["rows"] if not row["name"].startswith("fan-out")]
    heard = [row for row in report["rows"] if row["name"].startswith("fan-out")]
    (docs / "benchmarks" / "requests.svg").write_text(bars(requests, "Requests a second, times PocketBase"))
    (docs / "benchmarks" / "footprint.svg").write_text(pairs(report["facts"], "Start, memory and size"))
    lines = []
    for row in requests:
        share = row["burrow"]["rate"] / row["floor"]["rate"] * 100 if row["floor"]["rate"] else None
        cpu = row["pocketbase"]["cpu"] / row["burrow"]["cpu"]
        lines.append([
            row["name"], number(row["burrow"]["rate"]), number(row["pocketbase"]["rate"]),
            f"**{row['ratio']:.2f}** ({row['low']:.2f}–{row['high']:.2f})", f"{cpu:.1f}",
            number(row["burrow"]["p50"]), number(row["burrow"]["p95"]), number(row["burrow"]["p99"]), number(row["pocketbase"]["p99"]),
            f"{share:.0f} %" if share else "",
        ])
    head = ["work", "Burrow /s", "PocketBase /s", "times (spread)", "less CPU", "p50 ms", "p95 ms", "p99 ms", "p99 PocketBase", "of the floor"]
    text = ["# Benchmarks", "", "Burrow beside PocketBase, the same work on both in turns on one machine that also makes the load: medians of the pairs, and the", "smallest and largest ratio. *Less CPU* is how many times less processor time of the server a request takes. The floor is", "`benches/floor`: the least that a server on the same libraries can do, without collections, rules, validation or a change log.", ""]
    machine = report["machine"]
    text += [f"{machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']}; {machine['burrow']}, PocketBase {machine['pocketbase']}.", "", "```sh", "make bench        # or: " + report["command"], "```", "", "![Requests a second](benchmarks/requests.svg)", "", table(head, lines), ""]
    if heard:
        lines = [[row["name"], number(row["burrow"]["p50"]), number(row["pocketbase"]["p50"]), number(row["burrow"]["p99"]), number(row["pocketbase"]["p99"]), number(row["burrow"]["cpu"]), number(row["pocketbase"]["cpu"])] for row in heard]
        text += ["## Realtime", "", "From sending a create to hearing it, over server-sent events, for 200 subscribers; processor time of the server a delivery in µs.", "", table(["work", "p50 ms", "p50 PocketBase", "p99 ms", "p99 PocketBase", "CPU µs", "CPU PocketBase"], lines), ""]
    lines = [[fact["server"], number(fact["start_ms"]), number(fact["idle_mib"]), number(fact["peak_mib"]), number(fact["binary_mib"])] for fact in report["facts"]]
    text += ["## Footprint", "", "![Start, memory and size](benchmarks/footprint.svg)", "", table(["server", "start ms", "idle MiB", "peak MiB", "binary MiB"], lines), ""]
    if report["growth"]:
        lines = [[f"{one['rows']:,}", one["server"], number(one["view"]["rate"]), number(one["list"]["rate"])] for one in report["growth"]]
        text += ["## Growth", "", "Views by id and pages of 30 (`skipTotal`, newest first by an index) of a collection of so many rows.", "", table(["rows", "server", "view /s", "list /s"], lines), ""]
    (docs / "benchmarks.md").write_text("\n".join(text))
    print(f"written to {docs / 'benchmarks.md'}")
