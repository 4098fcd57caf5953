"""The report's pictures, as SVG text that stands in the page itself."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipelines.monitoring.drift import FeatureDrift
    from pipelines.monitoring.performance import Performance

_TRAIN, _OTHER, _GREY = "#1f6f8b", "#d1495b", "#9aa5b1"
_SEVERITY = {"ok": "#66a182", "warn": "#edae49", "fail": "#d1495b"}
_MOST_FEATURES = 25
_MOST_CLASSES = 12


def _figure(width: float = 5.2, height: float = 3.4) -> Figure:
    # A figure of its own, without pyplot: no global state and no display needed.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure) -> str:
    from matplotlib import rc_context

    buffer = io.StringIO()
    # A fixed salt and no date make the same data give the same page.
    with rc_context({"svg.hashsalt": "tidemill", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _axes(figure: Figure, title: str, x: str, y: str) -> Any:
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def loss_curves(history: Sequence[Mapping[str, Any]]) -> str:
    """Training and validation loss of each epoch."""
    figure = _figure()
    axes = _axes(figure, "Loss", "epoch", "loss")
    epochs = [row["epoch"] for row in history]
    for name, colour, label in (("loss", _TRAIN, "train"), ("val_loss", _OTHER, "validation")):
        values = [row.get(name) for row in history]
        if any(value is not None for value in values):
            axes.plot(epochs, values, marker="o", markersize=4, color=colour, label=label)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if epochs:
        axes.legend(frameon=False)
    return _svg(figure)


def roc_curve(points: Sequence[Sequence[float]], area: float | None) -> str:
    """ROC curve from points (false positive rate, true positive rate)."""
    figure = _figure(4.2)
    axes = _axes(figure, "ROC on the test split", "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1)
    label = None if area is None else f"AUC {area:.3f}"
    axes.plot([p[0] for p in points], [p[1] for p in points], color=_TRAIN, label=label)
    axes.set_aspect("equal")
    if label:
        axes.legend(frameon=False, loc="lower right")
    return _svg(figure)


def calibration(bins: Sequence[Mapping[str, float]]) -> str:
    """Observed against predicted rate, per bin of the prediction."""
    figure = _figure(4.2)
    axes = _axes(figure, "Calibration on the test split", "predicted", "observed")
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1)
    predicted = [row["predicted"] for row in bins]
    axes.plot(predicted, [row["observed"] for row in bins], marker="o", color=_TRAIN)
    axes.set_aspect("equal")
    return _svg(figure)


def threshold(kept: Mapping[str, Any]) -> str:
    """Precision, recall and share of the rows called yes by threshold, and the one chosen."""
    figure = _figure(4.2)
    axes = _axes(figure, "Threshold, on the validation split", "threshold", "")
    places = [point["threshold"] for point in kept["curve"]]
    for name, colour in (("precision", _TRAIN), ("recall", _OTHER), ("share", _GREY)):
        label = "called yes" if name == "share" else name
        axes.plot(places, [point[name] for point in kept["curve"]], color=colour, label=label)
    axes.axvline(kept["value"], color="black", linestyle="--", linewidth=1)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def confusion(counts: Sequence[Sequence[int]]) -> str:
    """Rows by class and predicted class; shades are shares of a class's rows."""
    figure = _figure(4.2)
    axes = _axes(figure, "Classes of the test split", "predicted", "observed")
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    classes = range(len(counts))
    if len(counts) <= _MOST_CLASSES:
        axes.set_xticks(list(classes))
        axes.set_yticks(list(classes))
        for row in classes:
            for column in classes:
                colour = "white" if shares[row][column] > 0.5 else "black"
                place = {"ha": "center", "va": "center", "fontsize": 7, "color": colour}
                axes.text(column, row, str(counts[row][column]), **place)
    return _svg(figure)


def scatter(points: Sequence[Sequence[float]]) -> str:
    """Predicted against observed number, for some rows."""
    figure = _figure(4.2)
    axes = _axes(figure, "Numbers of the test split", "observed", "predicted")
    observed, predicted = [point[0] for point in points], [point[1] for point in points]
    if points:
        ends = [min(observed), max(observed)]
        axes.plot(ends, ends, color=_GREY, linestyle="--", linewidth=1)
    axes.scatter(observed, predicted, s=6, color=_TRAIN, alpha=0.5)
    return _svg(figure)


def drift_bars(drifts: Sequence[FeatureDrift], warn: float, fail: float) -> str:
    """PSI of the features that moved most."""
    shown = list(reversed(drifts[:_MOST_FEATURES]))
    figure = _figure(7, 0.9 + 0.22 * len(shown))
    axes = _axes(figure, "Drift of features (PSI)", "population stability index", "")
    colours = [_SEVERITY[drift.severity] for drift in shown]
    axes.barh([drift.feature for drift in shown], [drift.psi for drift in shown], color=colours)
    for limit in (warn, fail):
        axes.axvline(limit, color=_GREY, linestyle="--", linewidth=1)
    axes.tick_params(axis="y", labelsize=8)
    return _svg(figure)


def rates_by_date(days: Sequence[Performance]) -> str:
    """Predicted and observed rate of positives, per scoring date."""
    figure = _figure(7)
    axes = _axes(figure, "Rate of positives, predicted and observed", "", "rate")
    for name, colour in (("predicted_rate", _TRAIN), ("observed_rate", _OTHER)):
        known = [day for day in days if getattr(day, name) is not None]
        dates = [day.scoring_date for day in known]
        values = [getattr(day, name) for day in known]
        axes.plot(dates, values, marker="o", markersize=3, color=colour, label=name.split("_")[0])
    axes.tick_params(axis="x", labelrotation=30, labelsize=8)
    axes.legend(frameon=False)
    return _svg(figure)


def auc_by_date(days: Sequence[Performance], reference: float | None) -> str:
    """ROC AUC per scoring date, and that of the test split."""
    figure = _figure(7)
    axes = _axes(figure, "ROC AUC of each day", "", "ROC AUC")
    known = [day for day in days if day.roc_auc is not None]
    axes.bar([day.scoring_date for day in known], [day.roc_auc for day in known], color=_TRAIN)
    if reference is not None:
        axes.axhline(reference, color=_OTHER, linestyle="--", label=f"test split {reference:.3f}")
        axes.legend(frameon=False)
    axes.set_ylim(0.4, 1.0)
    axes.tick_params(axis="x", labelrotation=30, labelsize=8)
    return _svg(figure)


def quarantined(counts: dict[str, tuple[int, int]]) -> str:
    """Rows in silver and in quarantine, per entity, on a logarithmic axis."""
    figure = _figure(7, 0.9 + 0.4 * len(counts))
    axes = _axes(figure, "Rows kept and quarantined", "rows (logarithmic)", "")
    names = list(reversed(counts))
    places = range(len(names))
    axes.barh(
        [place + 0.2 for place in places],
        [counts[name][0] for name in names],
        height=0.38,
        color=_TRAIN,
        label="silver",
    )
    axes.barh(
        [place - 0.2 for place in places],
        [counts[name][1] for name in names],
        height=0.38,
        color=_OTHER,
        label="quarantine",
    )
    axes.set_yticks(list(places), names)
    axes.set_xscale("symlog", linthresh=1)
    axes.legend(frameon=False)
    return _svg(figure)
