// The procedure of Benjamini and Hochberg (1995), as scipy.stats.false_discovery_control has it.

// Return the largest p-value that is called an anomaly at this rate, and how many rows are.
// `small` has each distinct p-value, in order, and how many rows have it.
function findDiscoveries(small, nRows, rate) {
  const found = { threshold: -1, count: 0 };
  let below = 0;
  for (const [p, count] of small) {
    below += count;
    if (p * (nRows / below) <= rate) {
      found.threshold = p;
      found.count = below;
    }
  }
  return found;
}

function formatPercent(share) {
  return `${Number((share * 100).toPrecision(3))}%`;
}

function formatCount(count) {
  return count.toLocaleString("en");
}

// Return what a rate means, in parts of which every other is stressed.
function describeDiscoveries(count, nRows, rate) {
  const rows = `of ${formatCount(nRows)} ${nRows === 1 ? "row" : "rows"}`;
  if (count === 0) {
    return ["", `None ${rows}`, ` is called an anomaly: at this rate no row stands out enough.`];
  }
  const false_ = count * rate;
  const expected = false_ < 1 ? "less than one" : `about ${formatCount(Math.round(false_))}`;
  return [
    "",
    `${formatCount(count)} ${rows}`,
    ` ${count === 1 ? "is" : "are"} called ${count === 1 ? "an anomaly" : "anomalies"}. ` +
      `On average at most ${formatPercent(rate)} of the rows called so are ordinary rows: here ` +
      `${expected}.`,
  ];
}
