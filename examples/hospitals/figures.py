"""figures.py MEASURED HERE: from the results of `fedmesh simulate` (MEASURED/*.json) to the table in
HERE/README.md, between its markers, and HERE/accuracy.svg. Standard library only."""
import json
import math
import pathlib
import sys

HOSPITALS = ["Cleveland", "Hungary", "Switzerland", "Long Beach"]
EPSILONS = ["0.1", "0.2", "0.5", "1", "2", "4", "8"]
# Published by the FLamby project for the same data and federation: record-level Gaussian DP-SGD
# (epsilon, accuracy, what), and without noise.
FLAMBY_DP = [(1.0, 0.702, "δ = 1e-3"), (1.0, 0.685, "δ = 1e-4"), (0.1, 0.606, "δ = 1e-4")]
FLAMBY_FEDAVG, FLAMBY_FEDAVG_SPREAD = 0.748, 0.024


def load(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def pooled(result, model=0):
    value = result["models"][model]["pooled"]
    return value["accuracy_mean"], value["accuracy_deviation"]


def percent(value):
    return f"{100 * value['accuracy_mean']:.1f} ± {100 * value['accuracy_deviation']:.1f}"


def row(name, model):
    cells = [percent(value) for value in model["sets"]] + [f"**{percent(model['pooled'])}**"]
    return f"| {name} | " + " | ".join(cells) + " |"


def table(folder):
    none = load(folder, "none")
    seeds = [run["seed"] for run in none["runs"]]
    sizes = [sum(run["rounds"][-1]["sets"][i]["rows"] for run in none["runs"]) / len(seeds) for i in range(4)]
    lines = [f"Accuracy in % on held-out patients, mean ± standard deviation over seeds {seeds[0]} to {seeds[-1]} "
             f"(each splits every file anew, about 34 % held out: {sizes[0]:.0f}, {sizes[1]:.0f}, {sizes[2]:.0f} and "
             f"{sizes[3]:.0f} patients on average). *All* counts every patient once.", "",
             "| trained how | " + " | ".join(HOSPITALS) + " | all |", "|---|---|---|---|---|---|"]
    names = ["**federated, no noise** (`heart.toml`)", "the same on all data in one place"]
    names += [f"the same in {name} alone" for name in HOSPITALS]
    lines += [row(name, model) for name, model in zip(names, none["models"])]
    lines.append(row("`heart_private.toml`'s training without its noise", load(folder, "clipped")["models"][0]))
    for epsilon in reversed(EPSILONS):
        shown = f"**ε = {epsilon}** per patient (`heart_private.toml`)" if epsilon == "1" else f"ε = {epsilon} per patient"
        lines.append(row(shown, load(folder, f"private-{epsilon}")["models"][0]))
    for epsilon in ["1", "0.5"]:
        lines.append(row(f"ε = {epsilon} per patient, standardised by the public bounds",
                         load(folder, f"public-{epsilon}")["models"][0]))
    lines.append(row("`heart_worker.toml`'s training without its noise", load(folder, "worker-none")["models"][0]))
    for epsilon in ["100", "10", "1"]:
        shown = f"ε = {epsilon} per hospital" + (" (`heart_worker.toml`)" if epsilon == "1" else "")
        lines.append(row(shown, load(folder, f"worker-{epsilon}")["models"][0]))
    return "\n".join(lines)


class Plot:
    LEFT, TOP, WIDTH, HEIGHT = 62, 58, 560, 330
    X0, X1, Y0, Y1 = math.log10(0.08), math.log10(10), 0.40, 0.84

    def __init__(self):
        self.parts = []

    def x(self, epsilon):
        return self.LEFT + (math.log10(epsilon) - self.X0) / (self.X1 - self.X0) * self.WIDTH

    def y(self, accuracy):
        return self.TOP + (self.Y1 - accuracy) / (self.Y1 - self.Y0) * self.HEIGHT

    def line(self, x1, y1, x2, y2, style):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>')

    def text(self, x, y, words, style=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {style}>{words}</text>')

    def axes(self):
        right = self.LEFT + self.WIDTH
        for percent_ in range(40, 85, 5):
            y = self.y(percent_ / 100)
            self.line(self.LEFT, y, right, y, 'stroke="#ddd"')
            self.text(self.LEFT - 8, y + 4, f"{percent_} %", 'text-anchor="end"')
        for epsilon in EPSILONS:
            x = self.x(float(epsilon))
            self.line(x, self.y(self.Y0), x, self.y(self.Y0) + 5, 'stroke="#555"')
            self.text(x, self.y(self.Y0) + 19, epsilon, 'text-anchor="middle"')
        self.line(self.LEFT, self.y(self.Y0), right, self.y(self.Y0), 'stroke="#555"')
        self.text(self.LEFT + self.WIDTH / 2, self.y(self.Y0) + 38,
                  "ε of the whole training, log scale (fedmesh: δ = 0)", 'text-anchor="middle"')

    def level(self, accuracy, words, colour, dash):
        y = self.y(accuracy)
        self.line(self.LEFT, y, self.LEFT + self.WIDTH, y,
                  f'stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dash}"')
        self.text(self.LEFT + 6, y - 5, words, f'fill="{colour}"')

    def series(self, points, colour):
        path = " ".join(f"{self.x(e):.1f},{self.y(mean):.1f}" for e, mean, _ in points)
        for epsilon, mean, deviation in points:
            x = self.x(epsilon)
            low = max(mean - deviation, self.Y0)
            self.line(x, self.y(mean + deviation), x, self.y(low), f'stroke="{colour}" stroke-width="1.2"')
            self.parts.append(f'<circle cx="{x:.1f}" cy="{self.y(mean):.1f}" r="4" fill="{colour}"/>')
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')

    def published(self):
        for epsilon, accuracy, words in FLAMBY_DP:
            x, y = self.x(epsilon), self.y(accuracy)
            self.parts.append(f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="none" '
                              'stroke="#b5541c" stroke-width="2"/>')
            self.text(x + 9, y + 4, f"FLamby, {words}", 'fill="#b5541c"')

    def svg(self, title):
        body = "\n".join(self.parts)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 450" width="660" height="450" '
                f'font-family="sans-serif" font-size="12" fill="#333" role="img">\n<title>{title}</title>\n'
                f'<rect width="660" height="450" fill="#fff"/>\n'
                f'<text x="16" y="22" font-size="15" font-weight="bold">{title}</text>\n'
                f'<text x="16" y="41">Dots: fedmesh, mean ± standard deviation over seeds. Squares: published by FLamby.'
                f'</text>\n{body}\n</svg>\n')


def plot(folder):
    out = Plot()
    out.axes()
    out.level(pooled(load(folder, "none"))[0], "fedmesh, no noise", "#1b6e3c", "7 4")
    out.level(FLAMBY_FEDAVG, f"FLamby FedAvg, no noise (± {100 * FLAMBY_FEDAVG_SPREAD:.1f})", "#b5541c", "3 4")
    out.published()
    points = [(float(e), *pooled(load(folder, f"private-{e}"))) for e in EPSILONS]
    out.series(points, "#1c5fa8")
    out.text(out.x(0.23), out.y(0.695), "fedmesh, ε per patient", 'fill="#1c5fa8"')
    worker = [(1.0, *pooled(load(folder, "worker-1")))]
    out.series(worker, "#888")
    out.text(out.x(1.0) + 9, out.y(worker[0][1]) + 4, "fedmesh, ε per hospital", 'fill="#666"')
    return out.svg("Heart disease, four hospitals: accuracy against ε")


def main():
    measured, here = map(pathlib.Path, sys.argv[1:3])
    readme = here / "README.md"
    begin, end = "<!-- figures.sh: begin -->", "<!-- figures.sh: end -->"
    before, rest = readme.read_text().split(begin, 1)
    after = rest.split(end, 1)[1]
    readme.write_text(f"{before}{begin}\n{table(measured)}\n{end}{after}")
    (here / "accuracy.svg").write_text(plot(measured))


main()
