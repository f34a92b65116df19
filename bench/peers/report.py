#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""report.py RESULTS.tsv DIRECTORY [docs]: what scripts/bench-peers has measured as Markdown, JSON and pictures (SVG).

With `docs` also into docs/PERFORMANCE.md, between the lines that say so, and docs/pictures.
"""
import json
import re
import sys
from pathlib import Path
from statistics import quantiles

TOP = Path(__file__).resolve().parents[2]
LIMIT = "limit loop"
REFERENCE = "page_table_multiarch 0.6.1"


def is_ours(peer):
    return peer.startswith(("fixed, ", "run-time, "))


def read(path):
    data = {"about": {}, "peers": {}, "workloads": {}, "curves": {}}
    for line in path.read_text().splitlines():
        kind, *words = line.split("\t")
        if kind == "about":
            data["about"][words[0]] = words[1]
        elif kind == "peer":
            data["peers"][words[0]] = {"compiler": words[1], "remark": words[2]}
        elif kind == "workload":
            data["workloads"][words[0]] = {"title": words[1], "unit": words[2], "peers": {}}
        elif kind in ("time", "instructions"):
            workload, peer, units, value = words[:4]
            entry = data["workloads"][workload]["peers"].setdefault(peer, {"samples": []})
            if kind == "time":
                entry["samples"].append(int(value) / int(units))
                entry["tables_left"] = int(words[4])
            else:
                entry["instructions"] = int(value) / int(units)
        elif kind == "grow":
            curve, peer, x, value = words
            data["curves"].setdefault(curve, {}).setdefault(peer, {}).setdefault(int(x), []).append(float(value))
    for workload in data["workloads"].values():
        for entry in workload["peers"].values():
            samples = entry.pop("samples")
            if samples:
                entry["ns_quartiles"] = quantiles(samples, n=4, method="inclusive") if samples[1:] else samples * 3
                entry["ns"] = entry["ns_quartiles"][1]
    data["workloads"] = {name: workload for name, workload in data["workloads"].items() if workload["peers"]}
    for curve in data["curves"].values():
        for peer, points in curve.items():
            curve[peer] = {x: sorted(values)[len(values) // 2] for x, values in sorted(points.items())}
    for name, curve in data["curves"].items():
        data["curves"][name] = {peer: curve[peer] for peer in data["peers"] if peer in curve}
    return data


def number(value):
    return f"{value:.2f}" if value < 9.995 else f"{value:.0f}" if value >= 99.95 else f"{value:.1f}"


def cell(entry, best):
    if entry is None or "ns" not in entry:
        return "cannot"
    low, median, high = entry["ns_quartiles"]
    text = number(median)
    text = f"**{text}**" if best else text
    text += f" ({number(low)}-{number(high)})"
    return text + (f" / {number(entry['instructions'])}" if "instructions" in entry else "")


def rivals(workload):
    """The peers that do the work themselves: without the limit's loops."""
    return {peer: e for peer, e in workload["peers"].items() if peer != LIMIT and "ns" in e}


def verdict(name, workload):
    """Who is ahead, in one line."""
    times = {peer: entry["ns"] for peer, entry in rivals(workload).items()}
    ours = {peer: time for peer, time in times.items() if is_ours(peer)}
    others = {peer: time for peer, time in times.items() if not is_ours(peer)}
    if not ours or not others:
        return None
    mine, theirs = min(ours, key=ours.get), min(others, key=others.get)
    worst = max(ours, key=ours.get)
    facts = [f"{name}: best of ours {number(ours[mine])} ({mine}), worst of ours {number(ours[worst])} ({worst})"]
    facts.append(f"best of the others {number(others[theirs])} ({theirs})")
    if REFERENCE in others:
        facts.append(f"{number(others[REFERENCE] / ours[mine])} times as fast as the reference")
    ahead = [peer for peer in others if others[peer] < ours[mine]]
    text = "; ".join(facts) + "."
    if ahead:
        text += f" **Ahead of all of ours: {', '.join(ahead)}.**"
    behind = [f"{peer} {entry['tables_left']}" for peer, entry in rivals(workload).items() if entry["tables_left"] > 4]
    if name == "W7" and behind:
        text += f" Empty tables left: {', '.join(behind)}."
    return text


def markdown(data):
    about, peers, workloads = data["about"], data["peers"], data["workloads"]
    lines = [
        f"Measured on {about['date']}, source {about['source']}, {about['CPU']}; load of the machine before: "
        f"{about['load']}; {about['rounds']} rounds, all peers in turn in one process.",
        "",
        "Nanoseconds for each unit, median (quartiles)"
        + (" / instructions (callgrind)" if any("instructions" in e for w in workloads.values() for e in w["peers"].values()) else "")
        + "; the best in bold, the limit's loops aside.",
        "",
        "| | " + " | ".join(f"{name} ({workload['unit']})" for name, workload in workloads.items()) + " |",
        "|---|" + "---|" * len(workloads),
    ]
    best = {name: min((e["ns"] for e in rivals(w).values()), default=0) for name, w in workloads.items()}
    for peer in peers:
        cells = []
        for name, workload in workloads.items():
            entry = workload["peers"].get(peer)
            cells.append(cell(entry, peer != LIMIT and entry and entry.get("ns") == best[name]))
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    lines += ["", "| peer | compiled by | |", "|---|---|---|"]
    lines += [f"| {name} | {peer['compiler']} | {peer['remark']} |" for name, peer in peers.items()]
    lines += [""] + [f"- {line}" for name, workload in workloads.items() if (line := verdict(name, workload))]
    for curve, by_peer in data["curves"].items():
        xs = sorted({x for points in by_peer.values() for x in points})
        xs = [x for x in xs if x.bit_length() % 4 == xs[0].bit_length() % 4 or x == xs[-1]] if curve != "destroy" else xs[::3]
        lines += [
            "",
            f"{curve}: nanoseconds for each {UNITS[curve][0]}, by {UNITS[curve][1]}",
            "",
            "| | " + " | ".join(str(x) for x in xs) + " |",
            "|---|" + "---|" * len(xs),
        ]
        for peer, points in by_peer.items():
            lines.append(f"| {peer} | " + " | ".join(number(points[x]) if x in points else "" for x in xs) + " |")
    return "\n".join(lines) + "\n"


UNITS = {
    "map": ("page", "pages of a region"),
    "query": ("query", "pages mapped"),
    "protect": ("page", "pages of a region"),
    "unmap": ("page", "pages of a region"),
    "map, huge pages allowed": ("call", "pages of 4K that the region could have"),
    "destroy": ("table", "tables"),
}


def pictures(data, directory):
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    # The same input makes the same file.
    plt.rcParams.update({"svg.hashsalt": "pagetable", "svg.fonttype": "none", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    colours = dict(zip(data["peers"], plt.get_cmap("tab20").colors))
    # For those who do not tell colours apart.
    marks = dict(zip(data["peers"], "osv^Dxp*P<>hX"))
    date = f"{data['about']['date']}, {data['about']['CPU']}"

    def save(figure, name):
        figure.text(0.01, 0.005, date, fontsize=6)
        figure.savefig(directory / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
        plt.close(figure)

    workloads = data["workloads"]
    figure, axes = plt.subplots(figsize=(13, 5.5))
    width = 0.9 / len(data["peers"])
    for i, peer in enumerate(data["peers"]):
        bars = [(k, w["peers"][peer]["ns"]) for k, w in enumerate(workloads.values()) if "ns" in w["peers"].get(peer, {})]
        axes.bar([k - 0.45 + (i + 0.5) * width for k, _ in bars], [ns for _, ns in bars], width, color=colours[peer], label=peer)
    axes.set_yscale("log")
    axes.set_ylabel("ns for each unit, median")
    axes.set_xticks(range(len(workloads)), [f"{n}\n{w['unit']}" for n, w in workloads.items()])
    axes.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    save(figure, "workloads")

    for curve, by_peer in data["curves"].items():
        figure, axes = plt.subplots(figsize=(8, 4.5))
        for peer, points in by_peer.items():
            axes.plot(list(points), list(points.values()), marks[peer] + "-", markersize=3, linewidth=1, color=colours[peer], label=peer)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel(UNITS[curve][1])
        axes.set_ylabel(f"ns for each {UNITS[curve][0]}, median")
        axes.set_title(curve)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
        save(figure, re.sub("[^a-z]+", "-", curve))


def put_between(path, name, text):
    """Replace what stands between <!-- generated: NAME --> and <!-- end -->."""
    whole = path.read_text()
    pattern = re.compile(rf"(<!-- generated: {name}[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
    assert pattern.search(whole), f"{path} has no place for {name}"
    path.write_text(pattern.sub(lambda match: match[1] + "\n" + text + "\n" + match[2], whole))


def main():
    results, directory = Path(sys.argv[1]), Path(sys.argv[2])
    data = read(results)
    text = markdown(data)
    (directory / "report.md").write_text(text)
    (directory / "results.json").write_text(json.dumps(data, indent=1) + "\n")
    print(text)
    places = [directory / "pictures"]
    if "docs" in sys.argv[3:]:
        put_between(TOP / "docs/PERFORMANCE.md", "peers", text)
        places.append(TOP / "docs/pictures")
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        try:
            pictures(data, place)
        except ImportError:
            print(f"left out: the pictures in {place}")
    print(f"{directory}/report.md, results.json, pictures")


if __name__ == "__main__":
    main()
