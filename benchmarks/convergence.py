"""What benchmarks/training.py measured, shown: a table, validation over time, and a picture of it.

Each peer is a list of rows as ``training_curve`` keeps them: about the run, epochs, the end.
"""

from pathlib import Path
from statistics import median

LOOKS = {"ours": ("#d55e00", "o"), "recbole": ("#0072b2", "s"), "rectools": ("#009e73", "^")}


def show(peers: dict[str, list[dict]]) -> None:
    """Print the table, who reached whose best when, and every epoch."""
    about = next(iter(peers.values()))[0]
    print(f"{about['device']}; ours in {about['asked']['precision']}, the others in float32\n")
    _print_table(peers, is_gpu=about["asked"]["device"] == "cuda")
    print()
    for peer, rows in peers.items():
        best = _best(rows)["ndcg@10"]
        times = {other: _reached(best, those) for other, those in peers.items()}
        said = (f"{name} {'never' if s is None else f'{s:.0f} s'}" for name, s in times.items())
        print(f"NDCG@10 of {best:.4f}, the best of {peer}: {', '.join(said)}")
    print()
    for peer, (_, *epochs, _) in peers.items():
        said = (f"{row['ndcg@10']:.4f} ({row['elapsed_s']:.0f})" for row in epochs)
        print(f"{peer}, NDCG@10 (after seconds): {' '.join(said)}")


def draw(peers: dict[str, list[dict]], path: Path) -> None:
    """NDCG@10 over the seconds of training and validation, as SVG; a ring at each best."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    # The same bytes every time, with text that stays text.
    rcParams.update({"svg.hashsalt": "ace", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for peer, rows in peers.items():
        (about, *epochs, _), (color, marker) = rows, LOOKS[peer]
        times = [row["elapsed_s"] for row in epochs]
        scores = [row["ndcg@10"] for row in epochs]
        pen = {"color": color, "marker": marker, "markersize": 3.5, "linewidth": 1.4}
        axes.plot(times, scores, **pen, label=f"{peer} {about['version']}")
        best = _best(rows)
        ring = {"marker": "o", "markersize": 10, "fillstyle": "none", "color": color}
        axes.plot(best["elapsed_s"], best["ndcg@10"], **ring)
    axes.set(xscale="log", xlabel="seconds of training and validation", ylabel="valid NDCG@10")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="#e2e5e8", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _print_table(peers: dict[str, list[dict]], *, is_gpu: bool) -> None:
    columns = ["", "epoch, s", "a target, us", "ranking, s", "peak, MB", "Recall@20", "NDCG@10"]
    columns += ["after, s"] + ["GPU peak, MB", "GPU busy"] * is_gpu
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for peer, rows in peers.items():
        (about, *epochs, _), best = rows, _best(rows)
        train_s, rank_s = (min(row[name] for row in epochs) for name in ("train_s", "rank_s"))
        peak_mb = max(row["peak_mb"] for row in epochs)
        print(
            f"| {peer} {about['version']} (torch {about['torch']}) | {train_s:.1f} "
            f"| {1e6 * train_s / best['targets']:.0f} | {rank_s:.1f} | {peak_mb:.0f} "
            f"| {best['recall@20']:.4f} | {best['ndcg@10']:.4f} "
            f"| {best['elapsed_s']:.0f} ({best['epoch']} of {len(epochs)} epochs) |"
            + (f" {best['gpu_mb']:.0f} | {_busy_in(epochs):.0%} |" if is_gpu else "")
        )


def _best(rows: list[dict]) -> dict:
    """The first epoch with the highest validation NDCG@10."""
    return max(rows[1:-1], key=lambda row: row["ndcg@10"])


def _reached(score: float, rows: list[dict]) -> float | None:
    """Seconds until NDCG@10 was that high; None where it never was."""
    return next((row["elapsed_s"] for row in rows[1:-1] if row["ndcg@10"] >= score), None)


def _busy_in(epochs: list[dict]) -> float:
    """How busy the GPU was in an epoch, as a median."""
    return median(row["gpu_busy"] for row in epochs)
