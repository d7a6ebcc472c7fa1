"""
A table with labels, dates and missing cells
============================================

A table enters as it was read. The same estimators score its rows, fill its missing cells and draw
new rows, and give back what went in: labels, dates and numbers.
"""

# %%
# A made table of employees. A sixth of the cells is missing.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skae import AEAnomalyDetector, VAETransformer
from skae.inspection import ReasonsDisplay


def hire(n_rows, rng):
    """Return employees: salaries depend on age and job, and jobs on age."""
    age = rng.uniform(18, 65, n_rows).round()
    is_senior = rng.random(n_rows) < (age - 18) / 60
    job = np.where(is_senior, "manager", rng.choice(["clerk", "engineer"], n_rows, p=[0.6, 0.4]))
    base = pd.Series(job).map({"clerk": 26.0, "engineer": 42.0, "manager": 60.0}).to_numpy()
    salary = base + 0.35 * (age - 18) + rng.normal(0, 2, n_rows)
    days = ((age - 18) * 365 * rng.uniform(0, 0.9, n_rows)).astype(int)
    return pd.DataFrame(
        {
            "age": age,
            "job": job,
            "salary": salary.round(1),
            "part time": rng.random(n_rows) < np.where(job == "clerk", 0.4, 0.05),
            "since": pd.Timestamp("2025-01-01") - pd.to_timedelta(days, unit="D"),
        }
    )


rng = np.random.default_rng(0)
whole = hire(800, rng)
hidden = rng.random(whole.shape) < 1 / 6
table = whole.mask(hidden)
table.head()

# %%
# Fill
# ----
# Observed cells stay as they are. ``interval`` adds limits that a missing number is within with the
# given probability.
model = VAETransformer(3, random_state=0).fit(table)
filled, low, high = model.impute(table, interval=0.9)

missing = hidden[:, 2]
truth, guess = whole.loc[missing, "salary"], filled.loc[missing, "salary"]
reach = (guess - low.loc[missing, "salary"], high.loc[missing, "salary"] - guess)
fig, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
ax.errorbar(truth, guess, yerr=reach, fmt="none", ecolor="#BBBBBB", elinewidth=1)
for job, colour, mark in (
    ("clerk", "#0072B2", "o"),
    ("engineer", "#D55E00", "s"),
    ("manager", "#009E73", "^"),
):
    chosen = whole.loc[missing, "job"] == job
    ax.plot(truth[chosen], guess[chosen], mark, color=colour, markersize=5, label=job)
ends = [20, 85]
ax.plot(ends, ends, color="black", linestyle="--", linewidth=1)
ax.set(xlabel="salary that was hidden", ylabel="salary that was filled in", xlim=ends, ylim=ends)
ax.legend(frameon=False)

labels = hidden[:, 1]
print(f"jobs filled in correctly: {(filled['job'] == whole['job'])[labels].mean():.0%}")
print(f"most frequent job instead: {whole['job'].value_counts(normalize=True).max():.0%}")

# %%
# Draw
# ----
# New employees, of the types of the old ones:
drawn = model.sample(800, random_state=0)
drawn.head()

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharex=True, sharey=True, layout="constrained")
for ax, rows, title in zip(axes, (whole, drawn), ("the table", "drawn rows"), strict=True):
    for job, colour, mark in (
        ("clerk", "#0072B2", "o"),
        ("engineer", "#D55E00", "s"),
        ("manager", "#009E73", "^"),
    ):
        some = rows[rows["job"] == job]
        ax.plot(some["age"], some["salary"], mark, color=colour, markersize=4, alpha=0.6, label=job)
    ax.set(title=title, xlabel="age")
axes[0].set_ylabel("salary")
axes[0].legend(frameon=False)

# %%
# Score
# -----
# A row's score is the density of its numbers times the probability of its labels. The detector
# takes the same table, and its reasons speak of the table's own values.
detector = AEAnomalyDetector(random_state=0).fit(table)
odd = hire(3, np.random.default_rng(1))
odd.loc[0, ["age", "job", "salary"]] = [30, "clerk", 75.0]
odd.loc[1, "since"] = pd.Timestamp("1955-06-01")
print(detector.p_values(odd).round(3))
ReasonsDisplay.from_estimator(detector, odd, n_reasons=2)
