"""The plots of docs/results.md: SVG with text as text, readable on light and dark, colours that most eyes can tell apart."""
import re

import matplotlib
matplotlib.use("svg")
from matplotlib import pyplot                        # noqa: E402

from bench_runtimes import TITLES                    # noqa: E402

COLORS = {"opgraft": "#0f9488", "onnxruntime": "#dd7a1c", "openvino": "#4a7dd8", "ncnn": "#b565a7", "mnn": "#8c8c8c"}
MARKS = {"opgraft": "o", "onnxruntime": "s", "openvino": "^", "ncnn": "D", "mnn": "v"}
LONGEST = 5                                          # a bar beyond it is cut, its number is not
INK, DIM = "#1c2430", "#5d6878"                      # made to follow the reader's colours by `save`
FAMILIES = {"lenet5": "LeNet-5", "mobilenet_v3_large": "MobileNetV3-L", "efficientnet_b0": "EfficientNet-B0", "resnet50": "ResNet-50"}
STYLE = ("<style>svg{color:#1c2430;--dim:#5d6878}@media(prefers-color-scheme:dark){svg{color:#e4e8ee;--dim:#98a3b3}}"
         "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif!important}</style>")
matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "opgraft", "font.family": "sans-serif", "font.size": 10, "text.color": INK, "axes.labelcolor": DIM,
    "axes.edgecolor": DIM, "xtick.color": DIM, "ytick.color": DIM, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 11,
    "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.titlecolor": INK, "legend.frameon": False, "grid.color": "#8c8c8c", "grid.alpha": 0.25,
    "savefig.transparent": True, "figure.dpi": 72})


def save(figure, path):
    figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight", pad_inches=0.1)
    pyplot.close(figure)
    text = path.read_text()
    text = text.replace(INK, "currentColor").replace(DIM, "var(--dim)")
    text = re.sub(r"(<svg[^>]*>)", r"\1" + STYLE, text, count=1)
    text = re.sub(r" *<metadata>.*?</metadata>\n", "", text, flags=re.DOTALL)
    path.write_text(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


def microseconds(x, _=None):
    return f"{x:g} µs" if x < 1000 else f"{x / 1000:g} ms"


def by_batch(d, folder):
    """Time an image of LeNet-5 against the batch, one panel a form."""
    forms = [(form, title) for form, title in (("relu", "ReLU"), ("swish2", "Swish")) if len(d.columns("lenet5", form)) > 1]
    if not forms:
        return
    figure, panels = pyplot.subplots(1, len(forms), figsize=(4.1 * len(forms), 3.4), sharey=True, squeeze=False)
    for axes, (form, title) in zip(panels[0], forms):
        batches = sorted({b for b, t in d.columns("lenet5", form) if t == 1})
        for runtime in reversed(TITLES):
            points = [(b, 1e3 * d.ms("lenet5", form, b, 1, runtime) / b) for b in batches if d.ms("lenet5", form, b, 1, runtime)]
            if points:
                axes.plot(*zip(*points), color=COLORS[runtime], marker=MARKS[runtime], label=TITLES[runtime], linewidth=2.5 if runtime == "opgraft" else 1.5,
                          markersize=6)
        axes.set(xscale="log", yscale="log", xlabel="images a batch", title=f"LeNet-5, {title}, one thread")
        axes.set_xticks(batches, [str(b) for b in batches])
        axes.minorticks_off()
        axes.set_yticks([5, 10, 20, 50, 100])
        axes.yaxis.set_major_formatter(microseconds)
        axes.grid(True, axis="y")
    panels[0][0].set_ylabel("time an image")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="lower center", ncol=len(labels), bbox_to_anchor=(0.5, -0.14), handlelength=1.6, columnspacing=1.2)
    save(figure, folder / "results-batch.svg")


def by_network(d, folder):
    """Time of the others over Opgraft's, batch 1, by size of the network."""
    cases = [(f, "plain" if f in ("efficientnet_b0", "mobilenet_v3_large") else "relu", t) for t in (1, 2) for f in FAMILIES]
    cases = [case for case in cases if d.ms(case[0], case[1], 1, case[2], "opgraft")]
    threads = sorted({t for _, _, t in cases})
    if not cases:
        return
    figure, panels = pyplot.subplots(1, len(threads), figsize=(4.3 * len(threads), 4.4), sharey=True, squeeze=False)
    for axes, t in zip(panels[0], threads):
        here, top = [c for c in cases if c[2] == t], 0
        for k, (family, form, _) in enumerate(here):
            base = d.ms(family, form, 1, t, "opgraft")
            for j, runtime in enumerate(TITLES):
                ms = d.ms(family, form, 1, t, runtime)
                if not ms:
                    continue
                y, ratio = -(k * (len(TITLES) + 1.2) + j), ms / base
                end = min(ratio, LONGEST)
                top = max(top, end)
                axes.barh(y, end, color=COLORS[runtime], height=0.82)
                label = f"{ms:.3g} ms" if runtime == "opgraft" else f"{ratio:.2f}" + " \u2192" * (ratio > LONGEST)
                axes.text(max(end, 1 if end > 0.7 else 0) + 0.04, y, label, va="center", fontsize=8.5, color=INK if runtime == "opgraft" else DIM)
        axes.set_yticks([-(k * (len(TITLES) + 1.2) + 2) for k in range(len(here))], [FAMILIES[c[0]] for c in here], color=INK)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.axvline(1, color=DIM, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set(xlabel="time over Opgraft's (shorter is faster)", title=f"batch 1, {t} thread{'s' * (t > 1)}", xlim=(0, top * 1.15))
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=COLORS[r]) for r in TITLES]
    figure.legend(handles, TITLES.values(), loc="lower center", ncol=len(TITLES), bbox_to_anchor=(0.5, -0.06), handlelength=1, columnspacing=1.2)
    save(figure, folder / "results-networks.svg")


def by_activation(d, folder):
    """ReLU, Swish and the odd activation per runtime."""
    from bench_report import activation_ratios
    cases = [(f, b, 1) for f, b in (("lenet5", 64), ("resnet50", 1)) if activation_ratios(d, f, b, 1)]
    if not cases:
        return
    figure, panels = pyplot.subplots(1, len(cases), figsize=(4.3 * len(cases), 3.3), sharey=True, squeeze=False)
    for axes, (family, batch, threads) in zip(panels[0], cases):
        ratios = activation_ratios(d, family, batch, threads)
        most = max(x for pair in ratios.values() for x in pair if x)
        for k, runtime in enumerate(TITLES):
            for j, (x, alpha) in enumerate(zip((1, *ratios.get(runtime, (None, None))), (0.35, 0.65, 1))):
                if x and runtime in ratios:
                    axes.barh(-(4 * k + j), x, color=COLORS[runtime], alpha=alpha, height=0.85)
                    word = ("ReLU", "Swish", "odd")[j]
                    axes.text(max(x, 1 if x > 0.7 else 0) + most * 0.02, -(4 * k + j), word if not j else f"{word} {x:.2f}", va="center", fontsize=8.5, color=DIM)
        axes.set_yticks([-(4 * k + 1) for k in range(len(TITLES))], TITLES.values(), color=INK)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.axvline(1, color=DIM, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set(xlabel="time over the ReLU network's", title=f"{FAMILIES[family]}, batch {batch}, one thread", xlim=(0, most * 1.22))
    save(figure, folder / "results-activation.svg")


def roofline(d, folder):
    """Steps of ResNet-50 by operations for a byte."""
    steps = [s for s in d.data["layers"] if s["form"] == "swish_op" and s["flops"] > 0 and s["ms"] > 0]
    peak, speed = (d.data["limits"].get(key) for key in ("peak_gflops", "copy_gbps"))
    if not steps or not peak:
        return
    kinds = {"3 x 3": ("o", "#0f9488"), "1 x 1": ("s", "#4a7dd8"), "7 x 7": ("D", "#b565a7"), "other": ("v", "#8c8c8c")}

    def kind(s):
        if "Conv" not in s["op"]:
            return "other"
        return "7 x 7" if s["name"] == "conv1" else "3 x 3" if "conv2" in s["name"] else "1 x 1"
    figure, axes = pyplot.subplots(figsize=(6.8, 3.9))
    longest = max(s["ms"] for s in steps)
    for word, (mark, color) in kinds.items():
        mine = [s for s in steps if kind(s) == word]
        axes.scatter([s["flops"] / s["bytes"] for s in mine], [s["flops"] / s["ms"] * 1e-6 for s in mine], s=[12 + 90 * s["ms"] / longest for s in mine],
                     marker=mark, color=color, alpha=0.75, linewidths=0, label=word if word == "other" else f"convolution {word}")
    x = [min(s["flops"] / s["bytes"] for s in steps) / 1.5, peak / speed, 1.5 * max(s["flops"] / s["bytes"] for s in steps)]
    axes.plot(x, [x[0] * speed, peak, peak], color=INK, linewidth=1.3)
    axes.text(x[2], peak * 1.03, f"peak of a core, {peak:g} GFLOP/s", ha="right", va="bottom", fontsize=9)
    axes.text(x[1] / 1.1, peak / 1.05, f"memory, {speed:g} GB/s ", ha="right", va="bottom", fontsize=9)
    axes.set(xscale="log", yscale="log", xlabel="operations for a byte read or written", ylabel="GFLOP/s", title="ResNet-50 with Swish, batch 1, one thread")
    axes.grid(True)
    axes.legend(loc="lower right")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.yaxis.set_major_formatter(lambda x, _: f"{x:g}")
    save(figure, folder / "results-roofline.svg")


def plots(d, folder):
    for draw in (by_batch, by_network, by_activation, roofline):
        draw(d, folder)
