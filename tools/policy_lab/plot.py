#!/usr/bin/env python3
"""Draws the numbers of the policy lab.

    plot.py NUMBERS.json DRAWING.svg

Bars, for each trace: the speed of each policy against no DAX. Lines, for each window: reads per second against the
working set. Whatever the file has of the two. Nothing but Python's own library, so that it runs anywhere.
"""

import json
import math
import sys
from xml.sax.saxutils import escape

COLOURS = {"never": "#888888", "always": "#d1603d", "size": "#dfae3c", "adaptive": "#2f6fb0"}
DASHES = {"never": "6 3", "always": "2 2", "size": "8 2 2 2", "adaptive": ""}
WIDTH = 860
FONT = 'font-family="sans-serif" font-size="12"'


class Drawing:
    def __init__(self):
        self.parts = []
        self.height = 10

    def text(self, x, y, what, anchor="start", extra=""):
        self.parts.append('<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>' % (x, y, anchor, extra, escape(what)))

    def line(self, x1, y1, x2, y2, colour="#cccccc"):
        self.parts.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>' % (x1, y1, x2, y2, colour))

    def legend(self, y, policies):
        x = 70
        for policy in policies:
            self.parts.append('<rect x="%.1f" y="%.1f" width="12" height="12" fill="%s"/>' %
                              (x, y - 10, COLOURS.get(policy, "#000000")))
            self.text(x + 17, y, policy)
            x += 110

    def svg(self):
        return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" %s>\n'
                '<rect width="100%%" height="100%%" fill="white"/>\n%s\n</svg>\n' %
                (WIDTH, self.height, WIDTH, self.height, FONT, "\n".join(self.parts)))


def in_order(values):
    return list(dict.fromkeys(values))


def size(n):
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if n >= unit:
            return "%g %s" % (n / unit, name)
    return "%d B" % n


def bars(drawing, numbers):
    results = numbers["results"]
    if not results:
        return
    traces = in_order(r["trace"] for r in results)
    policies = in_order(r["policy"] for r in results)
    seconds = {(r["trace"], r["policy"]): r["io_seconds"] for r in results}
    if "never" not in policies:
        return
    left, top, high = 70, drawing.height + 55, 240
    configuration = numbers["configuration"]
    drawing.text(left, top - 35, "Speed against no DAX (logarithmic); window %s, guest cache %s, %s" % (
        size(configuration["window_bytes"]), size(configuration["cache_bytes"]), configuration["backing"]),
        extra='font-weight="bold"')
    drawing.legend(top - 15, policies)
    speeds = {key: seconds[(key[0], "never")] / max(value, 1e-9) for key, value in seconds.items()}
    low = min(0.5, min(speeds.values()))
    top_speed = max(2, max(speeds.values()))

    def y(speed):
        return top + high * (1 - (math.log(speed) - math.log(low)) / (math.log(top_speed) - math.log(low)))

    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if low <= tick <= top_speed:
            drawing.line(left, y(tick), WIDTH - 20, y(tick), "#666666" if tick == 1 else "#dddddd")
            drawing.text(left - 8, y(tick) + 4, "%g" % tick, "end")
    group = (WIDTH - 20 - left) / len(traces)
    width = group * 0.8 / len(policies)
    for i, trace in enumerate(traces):
        for k, policy in enumerate(policies):
            if (trace, policy) not in speeds:
                continue
            at = y(speeds[(trace, policy)])
            drawing.parts.append(
                '<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s, %s: %.2f</title></rect>' %
                (left + group * (i + 0.1) + k * width, min(at, y(1)), width - 1, max(1.5, abs(at - y(1))),
                 COLOURS.get(policy, "#000000"), escape(trace), policy, speeds[(trace, policy)]))
        drawing.text(left + group * (i + 0.5), top + high + 18, trace, "middle")
    drawing.height = top + high + 35


def lines(drawing, numbers, window):
    points = [p for p in numbers["curves"] if p["window_bytes"] == window]
    policies = in_order(p["policy"] for p in points)
    left, top, high, wide = 90, drawing.height + 55, 220, WIDTH - 120
    drawing.text(left, top - 35, "16 KiB reads per second; window %s, guest cache %s, %s" % (
        size(window), size(numbers["configuration"]["cache_bytes"]), numbers["configuration"]["backing"]),
        extra='font-weight="bold"')
    drawing.legend(top - 15, policies)
    xs = sorted({p["working_set_bytes"] for p in points})
    rates = [max(p["reads_per_second"], 1) for p in points]
    low, most = math.log10(min(rates)) - 0.05, math.log10(max(rates)) + 0.05

    def x(n):
        return left + wide * (math.log(n) - math.log(xs[0])) / max(math.log(xs[-1]) - math.log(xs[0]), 1e-9)

    def y(rate):
        return top + high * (1 - (math.log10(max(rate, 1)) - low) / (most - low))

    for power in range(0, 9):
        for step in (1, 2, 5):
            rate = step * 10 ** power
            if low <= math.log10(rate) <= most:
                drawing.line(left, y(rate), left + wide, y(rate), "#dddddd")
                drawing.text(left - 8, y(rate) + 4, "{:,}".format(rate), "end")
    for n in xs:
        if (4 * n // window) in (1, 2, 4, 8, 16, 32):
            drawing.line(x(n), top, x(n), top + high, "#666666" if n == window else "#dddddd")
            drawing.text(x(n), top + high + 18, "%g x" % (n / window), "middle")
    drawing.text(left + wide / 2, top + high + 36, "working set, in windows", "middle")
    for policy in policies:
        of_it = sorted((p["working_set_bytes"], p["reads_per_second"]) for p in points if p["policy"] == policy)
        drawing.parts.append('<polyline fill="none" stroke="%s" stroke-width="2.2" stroke-dasharray="%s" points="%s"/>' %
                             (COLOURS.get(policy, "#000000"), DASHES.get(policy, ""),
                              " ".join("%.1f,%.1f" % (x(n), y(rate)) for n, rate in of_it)))
    drawing.height = top + high + 55


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as f:
        numbers = json.load(f)
    drawing = Drawing()
    bars(drawing, numbers)
    for window in in_order(p["window_bytes"] for p in numbers["curves"]):
        lines(drawing, numbers, window)
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write(drawing.svg())


if __name__ == "__main__":
    main()
