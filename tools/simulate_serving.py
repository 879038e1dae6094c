#!/usr/bin/env python3
"""A small queueing simulation of serving: requests arrive at nodes, pass their processors, wait, and are run in batches.

    build/venv-bench/bin/python tools/simulate_serving.py --data docs/serving.json --page docs/serving.md

Event by event and from a seed, so that the same options give the same numbers. A node is a row of stations; a station is a queue
before some servers, each of which takes up to `most` requests at once, and a processor of the node while it works. One station with Poisson arrivals is M/G/k; with most > 1 it
is what Triton's dynamic batching does without a delay: a free instance takes what waits. Callers that ask again when answered
(a closed loop, as tools/bench_serving.py measures) or arrivals at a rate (what a fleet sees) drive it.
"""
import argparse
import collections
import heapq
import json
import pathlib
import random
import statistics

ROOT = pathlib.Path(__file__).resolve().parent.parent
NODES = 8
CROWD = 64                                           # callers that keep a node as busy as it gets
LOADS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


class Station:
    """`servers` that take up to `most` requests each; time(n, inside) is how long n of them take together, in seconds, with `inside`
    requests in the node."""

    def __init__(self, servers, most, time):
        self.free, self.most, self.time, self.queue = servers, most, time, collections.deque()


def simulate(make_node, requests, seed, rate=None, callers=None, nodes=1, route="random", processors=1_000_000):
    """Latencies in seconds of `requests` requests and the rate at which they were answered; the first tenth is left out.

    make_node(random) is the list of a node's stations. Either `rate` requests arrive a second, or `callers` ask again and again.
    `route`: a node at random, or the one with the least requests in it. `processors`: of a node.
    """
    draw = random.Random(seed)
    fleet, inside, idle = [make_node(draw) for _ in range(nodes)], [0] * nodes, [processors] * nodes
    events, order, latencies, ends = [], 0, [], []

    def at(when, *what):
        nonlocal order
        order += 1
        heapq.heappush(events, (when, order, what))

    def serve(now, node):
        for k in range(len(fleet[node])):                # what is nearer to the door goes first, so that batches grow
            station = fleet[node][k]
            while station.free and station.queue and idle[node]:
                taken = [station.queue.popleft() for _ in range(min(station.most, len(station.queue)))]
                station.free -= 1
                idle[node] -= 1
                at(now + station.time(len(taken), inside[node]), node, k, taken)

    def enter(now):
        node = draw.randrange(nodes) if route == "random" else min(range(nodes), key=lambda n: (inside[n], draw.random()))
        inside[node] += 1
        fleet[node][0].queue.append(now)
        serve(now, node)

    for _ in range(callers or 1):
        at(draw.expovariate(rate) if rate else 0.0, None, None, None)
    while len(latencies) < requests:
        now, _, (node, k, done) = heapq.heappop(events)
        if node is None:
            enter(now)
            if rate:
                at(now + draw.expovariate(rate), None, None, None)
            continue
        fleet[node][k].free += 1
        idle[node] += 1
        if k + 1 < len(fleet[node]):
            fleet[node][k + 1].queue.extend(done)
        else:
            for came in done:
                latencies.append(now - came)
                ends.append(now)
                inside[node] -= 1
                if callers:
                    at(now, None, None, None)
        serve(now, node)
    warm = len(latencies) // 10
    return latencies[warm:], (len(latencies) - warm) / (ends[-1] - ends[warm])


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


# ---- the measured node --------------------------------------------------------------------------


def line(points):
    """Least squares of y = a + b x, both at least 0."""
    mx, my = (statistics.fmean(p[i] for p in points) for i in (0, 1))
    b = max(0.0, sum((x - mx) * (y - my) for x, y in points) / max(1e-12, sum((x - mx)**2 for x, _ in points)))
    a = my - b * mx
    return (a, b) if a >= 0 else (0.0, sum(x * y for x, y in points) / sum(x * x for x, _ in points))


class Node:
    """What a measured network takes: batches in an instance, and the processors' time of requests around them, which is less for each
    the more are on their way: they share the wake-ups of threads that would sleep."""

    def __init__(self, data, processors=1):
        self.data, self.processors = data, processors
        points = [(data.median("opgraft-batch", c, "batch_size"), 1e-6 * data.median("opgraft-batch", c, "batch_us")) for c in self.data.callers()]
        self.fixed, self.each = line(points)

        self.wake, self.request = line([(c, c * self.measured_around(c)) for c in data.callers()])

    def measured_around(self, c):
        """The server's processor seconds of a request but for the network's."""
        def median(key):
            return self.data.median("opgraft-batch", c, key)
        return max(0.0, 1e-6 * (median("server_us") - self.data.threads * median("batch_us") / median("batch_size")))

    def stations(self, most=64):
        """Made anew for each node: what is around the network, request by request; then the instance."""
        return lambda draw: [Station(self.processors, 1, lambda n, inside: self.request + self.wake / inside),
                             Station(1, most, lambda n, inside: self.fixed + self.each * n)]

    def run(self, requests, seed, **options):
        return simulate(self.stations(), requests, seed, processors=self.processors, **options)

    def capacity(self):
        """Requests a second, which is what many callers get."""
        return self.run(4000, 1, callers=CROWD)[1]

    def compare(self, requests=4000):
        """[(callers, measured, simulated requests a second)], with batching."""
        return [(c, self.data.median("opgraft-batch", c, "per_second"), self.run(requests, c, callers=c)[1])
                for c in self.data.callers()]


def page_text(nodes):
    from bench_serving import NETWORKS, table, time_text
    rows, text = [], []
    for network, node in nodes.items():
        pairs = node.compare()
        wrong = [abs(s / m - 1) for _, m, s in pairs]
        text.append(f"{NETWORKS[network][0]}: a batch of n takes {time_text(1e6 * node.fixed)} + n x {time_text(1e6 * node.each)}, what is "
                    f"around a request takes a processor {time_text(1e6 * node.request)}, and {time_text(1e6 * node.wake)} of wake-ups are "
                    f"shared by those in the node. A node holds {node.capacity():,.0f} requests a second. The simulated throughput differs "
                    f"from the measured by {100 * statistics.median(wrong):.0f}% in the median, {100 * max(wrong):.0f}% at most.\n")
        most = node.capacity()
        for load in 0.5, 0.7, 0.8, 0.9:
            row = [NETWORKS[network][0], f"{load:.0%}"]
            for count, route in (1, "random"), (NODES, "random"), (NODES, "least"):
                rate = load * most * count
                times, _ = node.run(20_000, 7, rate=rate, nodes=count, route=route)
                row.append(f"{time_text(1e6 * quantile(times, 0.5))}, {time_text(1e6 * quantile(times, 0.99))}")
            rows.append(row)
    head = ["", "load", "one node: p50, p99", f"{NODES} nodes, at random", f"{NODES} nodes, least busy"]
    return "\n".join(text) + "\n" + table(head, rows)


def plot(nodes, path):
    from bench_plots import DIM, pyplot, save
    from bench_serving import NETWORKS, time_text
    figure, panels = pyplot.subplots(2, len(nodes), figsize=(4.3 * len(nodes), 6.4), squeeze=False)
    for column, (network, node) in enumerate(nodes.items()):
        pairs = node.compare()
        high, low = panels[:, column]
        spans = [node.data.values("opgraft-batch", c, "per_second") for c, _, _ in pairs]
        high.vlines([c for c, _, _ in pairs], [min(s) for s in spans], [max(s) for s in spans], color="#0f9488", alpha=0.5, linewidth=4)
        high.plot([c for c, _, _ in pairs], [m for _, m, _ in pairs], "o", color="#0f9488", label="measured")
        high.plot([c for c, _, _ in pairs], [s for _, _, s in pairs], color=DIM, linestyle=(0, (4, 2)), label="simulated")
        high.set(xscale="log", ylim=(0, 1.1 * max(max(s) for s in spans)), title=NETWORKS[network][0], xlabel="callers")
        high.set_xticks(node.data.callers(), [str(c) for c in node.data.callers()])
        high.minorticks_off()
        high.yaxis.set_major_formatter(lambda x, _: f"{x:,g}")
        most = node.capacity()
        for count, route, color, label in ((1, "random", "#dd7a1c", f"a node; {NODES} at random"),
                                           (NODES, "least", "#4a7dd8", f"{NODES} nodes, least busy")):
            values = [1e6 * quantile(node.run(20_000, 3, rate=load * most * count, nodes=count, route=route)[0], 0.99)
                      for load in LOADS]
            low.plot([100 * load for load in LOADS], values, color=color, label=label)
        low.set(yscale="log", xlabel="load, % of what a node holds", xlim=(0, 100))
        low.minorticks_off()
        bounds = low.get_ylim()
        low.set_yticks([t for k in range(1, 7) for t in (10**k, 2 * 10**k, 5 * 10**k) if bounds[0] <= t <= bounds[1]])
        low.yaxis.set_major_formatter(lambda us, _: time_text(us))
        for axes in high, low:
            axes.grid(True, axis="y")
    panels[0][0].set_ylabel("requests a second")
    panels[1][0].set_ylabel("latency, 99th percentile")
    panels[0][0].legend(loc="lower right")
    panels[1][0].legend(loc="upper left")
    figure.tight_layout()
    save(figure, path)


def main():
    from bench_serving import NETWORKS, Data, write_between
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "docs" / "serving.json")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs" / "serving.md")
    options = parser.parse_args()
    measured = json.loads(options.data.read_text())["networks"]
    nodes = {network: Node(Data(network, measured[network])) for network in NETWORKS if network in measured}
    write_between(options.page, "simulated", page_text(nodes))
    plot(nodes, options.page.with_name("serving-fleet.svg"))


if __name__ == "__main__":
    main()
